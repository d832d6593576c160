#!/usr/bin/env bash
# Checks what can be checked of the container files without a Docker engine:
#   1. the image's installation, run by the same script in an empty directory that holds the build context alone;
#   2. the service as the image would run it: its ENV, its user, a read-only root, its HEALTHCHECK, SIGTERM;
#   3. compose.yaml and the Kubernetes manifests against their schemas, alert rules with promtool.
# Not checked: that the base images and tags exist, the image build itself, the CUDA target, GPU scheduling.
# Needs root for 2 (otherwise UNVERIFIED), network for packages. TORCH_INDEX as in install.sh.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
scratch=$(mktemp -d /var/tmp/reward-verify.XXXXXX)
chmod 755 "$scratch"
failed=0
service=
cleanup() { [ -z "$service" ] || kill -9 "$service" 2>/dev/null; rm -rf "$scratch"; }
trap cleanup EXIT

ok() { printf 'ok         %s\n' "$1"; }
bad() { printf 'FAILED     %s\n' "$1"; failed=1; }
check() { local what=$1; shift; if "$@" >"$scratch/log" 2>&1; then ok "$what"; else bad "$what"; cat "$scratch/log"; fi; }
unverified() { printf 'UNVERIFIED %s: %s\n' "$1" "$2"; }

# -- 1. installation ------------------------------------------------------------------------------
mkdir "$scratch/src"
# The build context by .dockerignore: everything is excluded but the lines that begin with "!".
sed -n 's/^!//p' .dockerignore | tar --exclude=__pycache__ -cf - -T - | tar -xf - -C "$scratch/src"
# An interpreter that every user may run, as in the image; a private one under /root would not do.
if [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then export PATH=/usr/bin:$PATH; fi
cd "$scratch/src"
check "install.sh in a bare directory" docker/install.sh "$scratch/reward" "${EXTRAS:-bertscore,offline,otel}"
cd "$root"
python=$scratch/reward/bin/python
[ -x "$python" ] || exit 1

# -- 2. the service as the image runs it ----------------------------------------------------------
# shellcheck disable=SC2016
parsed=$("$python" - "$scratch" <<'PY'
import json, re, shlex, sys
text = open("Dockerfile").read()
runtime = re.search(r"AS runtime\n(.*?)(?=^FROM)", text, re.S | re.M).group(1)
joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", runtime, flags=re.M))
stages = set(re.findall(r"^FROM .* AS (\S+)", text, re.M))
missing = set(re.findall(r"--from=(\S+)", text)) - stages
assert not missing, missing
assert re.findall(r"^FROM .* AS (\S+)", text, re.M)[-1] == "cpu", "the default target"
env = [pair for line in re.findall(r"^ENV (.*)", joined, re.M) for pair in shlex.split(line)]
env = [pair for pair in env if not pair.startswith(("PATH=", "HF_HOME="))]
user = re.search(r"^USER (\d+):(\d+)", joined, re.M).groups()
health = json.loads(re.search(r"HEALTHCHECK.*CMD (\[.*\])", joined).group(1))
open(f"{sys.argv[1]}/env", "w").write("\n".join(env))
open(f"{sys.argv[1]}/health", "w").write(health[-1])
print(*user)
PY
) || { bad "Dockerfile: stages, ENV, USER, HEALTHCHECK"; exit 1; }
ok "Dockerfile: stages, ENV, USER $parsed, HEALTHCHECK"

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
{ read -r key; read -r entry; } < <("$scratch/reward/bin/reward-service" new-key verify | awk '{ print $NF }')
mapfile -t image_env <"$scratch/env"
in_image() {  # runs a command with the image's environment, user and read-only root
  # shellcheck disable=SC2016
  exec unshare --mount sh -c '
    mount --make-rprivate / && mount -t tmpfs tmpfs /tmp && mount -o remount,bind,ro / && cd /tmp || exit 97
    for d in /var/tmp /dev/shm; do mount -o bind,ro "$d" "$d" 2>/dev/null; mount -o remount,bind,ro "$d" 2>/dev/null; done
    mount -t tmpfs tmpfs /dev/shm
    printf "raise SystemExit(\"imported from the working directory\")\n" >/tmp/orjson.py
    user=$1 group=$2; shift 2
    exec setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all "$@"' \
    sh $parsed env -i "PATH=$scratch/reward/bin:/usr/bin:/bin" "${image_env[@]}" HF_HOME=/tmp/models "REWARD_PORT=$port" "$@"
}
healthy() { env -i "REWARD_PORT=$port" "$python" -c "$(cat "$scratch/health")"; }
score() {
  "$python" -c '
import json, sys, urllib.request as r
body = json.dumps({"items": [{"candidate": "No effusion.", "reference": "No pleural effusion."}]}).encode()
head = {"content-type": "application/json", **({"authorization": "Bearer " + sys.argv[2]} if sys.argv[2] else {})}
opener = r.build_opener(r.ProxyHandler({}))
answer = json.load(opener.open(r.Request(f"http://127.0.0.1:{sys.argv[1]}/score", body, head), timeout=60))
assert answer["results"][0]["status"] == "ok", answer' "$port" "$1"
}

if [ "$(id -u)" != 0 ] || ! unshare --mount true 2>/dev/null; then
  unverified "the service as the image runs it" "needs root and mount namespaces"
else
  if (in_image "REWARD_API_KEYS=" reward-service serve) >"$scratch/log" 2>&1; then bad "refuses to serve without keys"
  else grep -q REWARD_API_KEYS "$scratch/log" && ok "refuses to serve without keys" || { bad "refuses to serve without keys"; cat "$scratch/log"; }
  fi
  (in_image "REWARD_API_KEYS=$entry" REWARD_WORKERS=2 reward-service serve) >"$scratch/service.log" 2>&1 &
  service=$!
  for _ in $(seq 180); do healthy 2>/dev/null && break; kill -0 "$service" 2>/dev/null || break; sleep 0.5; done
  check "two processes, user $parsed, read-only root: HEALTHCHECK passes" healthy
  healthy 2>/dev/null || head -c 3000 "$scratch/service.log"
  check "scores with a key" score "$key"
  if [[ "$(score "" 2>&1)" == *"HTTP Error 401"* ]]; then ok "answers 401 without a key"; else bad "answers 401 without a key"; fi
  kill -TERM "$service"
  wait "$service" && ok "SIGTERM: exit 0" || { bad "SIGTERM: exit 0"; cat "$scratch/service.log"; }
  service=
fi

# -- 3. files -------------------------------------------------------------------------------------
python3 -m venv "$scratch/tools"
if "$scratch/tools/bin/pip" install -q --disable-pip-version-check pyyaml check-jsonschema kubernetes-validate 2>/dev/null; then
  "$scratch/tools/bin/python" docker/verify_files.py || failed=1
else
  unverified "compose and Kubernetes schemas" "the validators could not be installed"
fi
if command -v promtool >/dev/null; then
  check "promtool: configuration and alert rules" promtool check config docker/prometheus/prometheus.yml
  check "promtool: alert rule tests" promtool test rules docker/prometheus/alerts_test.yml
else
  unverified "alert rules" "promtool is not installed (Debian: apt-get install prometheus)"
fi
unverified "image build, base images and tags, cuda target, compose up, kubectl apply" "no Docker engine, GPU or cluster here"
exit $failed
