"""Where x -> r x (1 - x) ends up (May 1976): what it visits once it has settled, as a JSON list. Standard library only."""

import json
import sys

SETTLE = 5_000
WATCH = 200

r = float(sys.argv[1])
x = 0.5
for _ in range(SETTLE):
    x = r * x * (1 - x)
seen = set()
for _ in range(WATCH):
    x = r * x * (1 - x)
    seen.add(round(x, 4))
print(json.dumps(sorted(seen)))
