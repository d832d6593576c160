"""annotate.py CACHE MODEL_TYPE < JSON list of texts: one annotation per text as a JSON list."""

import json
import sys

from radgraph_package import load

radgraph = load(sys.argv[1], sys.argv[2])
found = radgraph(json.load(sys.stdin))
print(json.dumps([found[str(i)] for i in range(len(found))]))
