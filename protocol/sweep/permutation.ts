/**
 * A seeded permutation of 0 ... size - 1, computed one index at a time: a balanced Feistel network over the next
 * power of four, walked along its cycle until it falls inside (Black and Rogaway, "Ciphers with arbitrary finite
 * domains", CT-RSA 2002, method 2). Four rounds of a random function make a random permutation (Luby, Rackoff 1988).
 */

const ROUNDS = 4

/** `size` is 2^52 at most; `word(value, round)` is a random function to 32 bits. Takes four walks or less on average. */
export function permutation(size: number, word: (value: number, round: number) => number): (index: number) => number {
  let half = 2
  while (half * half < size) half *= 2
  const encrypt = (value: number): number => {
    let left = Math.floor(value / half)
    let right = value % half
    for (let round = 0; round < ROUNDS; round += 1) {
      const mixed = left ^ (word(right, round) % half)
      left = right
      right = mixed
    }
    return left * half + right
  }
  return (index) => {
    let value = encrypt(index)
    while (value >= size) value = encrypt(value)
    return value
  }
}
