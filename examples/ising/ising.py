"""The Ising model on a square lattice: how magnetised it is at a temperature, by Metropolis' rule."""

import math
import random
import statistics


def unit(temperature, size=24, sweeps=400):
    """`temperature` in units of the coupling. Returns the mean magnetisation and energy of a site, and their spread."""
    spins = [[1] * size for _ in range(size)]
    accept = {flip: math.exp(-flip / temperature) for flip in (4, 8)}
    magnetisation, energy = [], []
    for sweep in range(sweeps):
        for _ in range(size * size):
            row, column = random.randrange(size), random.randrange(size)
            spin = spins[row][column]
            cost = 2 * spin * neighbours(spins, row, column)
            if cost <= 0 or random.random() < accept[cost]:
                spins[row][column] = -spin
        # The first half is for settling.
        if sweep >= sweeps // 2:
            magnetisation.append(abs(sum(map(sum, spins))) / size**2)
            energy.append(-sum(spin * neighbours(spins, r, c) for r, line in enumerate(spins) for c, spin in enumerate(line)) / (2 * size**2))
    print(f"settled at {magnetisation[-1]:.3f}")
    return {
        "magnetisation": statistics.fmean(magnetisation),
        "energy": statistics.fmean(energy),
        "susceptibility": statistics.pvariance(magnetisation) * size**2 / temperature,
    }


def neighbours(spins, row, column):
    size = len(spins)
    line = spins[row]
    return line[column - 1] + line[(column + 1) % size] + spins[row - 1][column] + spins[(row + 1) % size][column]
