#!/usr/bin/env bash
# Prometheus, and Grafana where there is one, beside a PodSense on this machine: no cluster, no Docker.
#
#   scripts/monitoring-local.sh [ADMIN_ADDRESS...]      default: localhost:8000
#
# Scrapes each address, with the rules of monitoring/rules loaded. Ctrl-C ends what it started; data
# stays in build/monitoring. PROMETHEUS_PORT (9090) and GRAFANA_PORT (3000) choose the ports.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for argument in "$@"; do
  case $argument in
    -*) die "usage: monitoring-local.sh [HOST:PORT...]" ;;
    *:*) ;;
    *) die "'$argument' is no HOST:PORT of a pod's admin port" ;;
  esac
done
[ $# -gt 0 ] || set -- localhost:8000
command -v prometheus >/dev/null || die "no prometheus here (Debian: apt-get install prometheus)"
prometheus_port=${PROMETHEUS_PORT:-9090} grafana_port=${GRAFANA_PORT:-3000}
# Debian's package starts a Prometheus of its own on 9090 where there is systemd.
if (exec 3<>"/dev/tcp/127.0.0.1/$prometheus_port") 2>/dev/null; then
  die "something listens on port $prometheus_port (Debian's service? systemctl disable --now prometheus); PROMETHEUS_PORT chooses another"
fi
data=$PWD/build/monitoring
mkdir -p "$data/provisioning/"{datasources,dashboards}

{
  echo "global: { scrape_interval: 5s, evaluation_interval: 15s }"
  echo "rule_files: [$PWD/monitoring/rules/podsense.rules.yaml]"
  echo "scrape_configs:"
  echo "  - job_name: podsense"
  echo "    static_configs:"
  printf '      - targets: ["%s"]\n' "$@"
} >"$data/prometheus.yml"
promtool check config --lint=none "$data/prometheus.yml" >/dev/null || die "Prometheus refuses $data/prometheus.yml"

children=()
stop() { [ ${#children[@]} = 0 ] || kill "${children[@]}" 2>/dev/null || true; wait; }
trap stop EXIT

prometheus --config.file="$data/prometheus.yml" --storage.tsdb.path="$data/prometheus" \
  --web.listen-address="localhost:$prometheus_port" --enable-feature=exemplar-storage \
  --log.level=warn &
children+=($!)
until curl -sf -o /dev/null "http://localhost:$prometheus_port/-/ready"; do
  kill -0 "${children[0]}" 2>/dev/null || die "Prometheus ended: see above"
  sleep 0.2
done
say "Prometheus: http://localhost:$prometheus_port, alerts under /alerts, recorded figures under /rules"
# One that does not answer is said here: in Prometheus it would be an empty page.
for target in "$@"; do
  if curl -sf -o /dev/null --max-time 5 "http://$target/metrics"; then
    say "scraping $target"
  else
    say "scraping $target, which does not answer yet"
  fi
done

grafana=$(command -v grafana || command -v grafana-server || true)
if [ -n "$grafana" ]; then
  cat >"$data/provisioning/datasources/podsense.yaml" <<YAML
apiVersion: 1
datasources:
  - { name: Prometheus, type: prometheus, uid: prometheus, url: "http://localhost:$prometheus_port", isDefault: true }
YAML
  cat >"$data/provisioning/dashboards/podsense.yaml" <<YAML
apiVersion: 1
providers:
  - { name: PodSense, folder: PodSense, type: file, options: { path: "$PWD/monitoring/dashboards" } }
YAML
  home=${GRAFANA_HOME:-/usr/share/grafana}
  arguments=(--homepath "$home")
  [ "$(basename "$grafana")" = grafana-server ] || arguments=(server "${arguments[@]}")
  GF_SERVER_HTTP_PORT=$grafana_port GF_SERVER_HTTP_ADDR=localhost GF_PATHS_DATA=$data/grafana \
    GF_PATHS_PROVISIONING=$data/provisioning GF_AUTH_ANONYMOUS_ENABLED=true GF_LOG_LEVEL=warn \
    "$grafana" "${arguments[@]}" &
  children+=($!)
  say "Grafana: http://localhost:$grafana_port"
else
  say "no Grafana here: \`podsense top $*\` shows the most important; dashboards are in monitoring/dashboards"
fi
wait -n
