"""How stable a clock is over a time: allan.py FILE TIME prints the Allan deviation of its readings averaged over TIME of them."""

import array
import math
import sys

name, time = sys.argv[1], int(sys.argv[2])
total = count = 0
before = None
with open(name, "rb") as file:
    while len(block := file.read(8 * time)) == 8 * time:
        mean = sum(array.array("d", block)) / time
        if before is not None:
            total += (mean - before) ** 2
            count += 1
        before = mean
print(math.sqrt(total / (2 * count)))
