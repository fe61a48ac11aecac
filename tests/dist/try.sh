#!/usr/bin/env bash
# Installs one of the packages of build/dist in a bare Debian, asks it about a photograph, removes it again.
# Run by scripts/try-dist.sh, as root, in a system that is thrown away.
#
#   tests/dist/try.sh deb|tar|wheel
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
dist=$PWD/build/dist
photo=$PWD/build/golden/photos/coffee.png
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)

die() { echo "try: $*" >&2; exit 1; }
get() { apt-get -q -y install --no-install-recommends "$@" >"$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log" >&2; die "apt-get install $*"; }; }

# ask COMMAND… : starts a server on free ports and holds its answer about a photograph against what it shows; `server`
# is its process, and `answered` how many milliseconds after its start it answered.
ask() {
  local began answer port
  began=$(date +%s%3N)
  PODSENSE_HTTP_PORT=0 PODSENSE_GRPC_PORT=0 PODSENSE_ADMIN_PORT=0 PODSENSE_HOST=127.0.0.1 PODSENSE_ADMIN_HOST=127.0.0.1 \
    "$@" >"$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    port=$(sed -nE '/"event":"serving"/s/.*"http":"[^"]*:([0-9]+)".*/\1/p' "$work/server.log")
    if [ -n "$port" ] && answer=$(post "$port" "$photo"); then
      answered=$(($(date +%s%3N) - began))
      [[ $answer == *'"predictions":[{"class":967,"label":"espresso"'* ]] || die "no espresso: $answer"
      return
    fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/server.log" >&2
  die "no answer of $*"
}

# post PORT FILE : by bash alone, since curl would bring the libraries whose absence is to be seen
post() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  {
    printf 'POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %s\r\n\r\n' "$(stat -c %s "$2")"
    cat "$2"
  } >&3
  answer=$(cat <&3)
  exec 3>&-
  [[ $answer == 'HTTP/1.1 200 '* ]] || return 1
  printf '%s' "$answer"
}

end_server() {
  kill -TERM "$server"
  wait "$server" || die "the server ended with $?"
}

# only_from PATH… : everything that the server has loaded is below these folders, or one of these files, or glibc's
only_from() {
  local library path
  while read -r library; do
    for path in "$@"; do
      if [[ $library == "$path"/* || $library == "$(readlink -f "$path")" ]]; then continue 2; fi
    done
    case $(basename "$library") in
      libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libresolv.so.* | ld-linux*.so.* | libnss_*) ;;
      *) die "loaded from the system: $library" ;;
    esac
  done < <(sed -nE 's,.* (/[^ ]+\.so[^ ]*)$,\1,p' "/proc/$server/maps" | sort -u)
}

try_deb() {
  local command
  apt-get -q update >/dev/null
  get "$dist"/podsense_*.deb "$dist"/podsense-models_*.deb
  id podsense >/dev/null || die "there is no user podsense"
  [ -e /lib/systemd/system/podsense.service ] || die "there is no unit"
  # As the unit starts it: its user, its folder, its command.
  command=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/podsense.service)
  cd /var/lib/podsense
  # shellcheck disable=SC2086  # a command and its arguments
  ask setpriv --reuid podsense --regid podsense --clear-groups $command
  end_server
  cd /
  # A setting of the administrator outlives the removal of the package, not its purge.
  sed -i 's/^  reload_interval: 10s/  reload_interval: 11s/' /etc/podsense/podsense.yaml
  apt-get -q -y remove podsense >/dev/null 2>&1
  grep -q 11s /etc/podsense/podsense.yaml || die "the removal of the package took the settings along"
  apt-get -q -y purge podsense podsense-models >/dev/null 2>&1
  for left in /etc/podsense /usr/bin/podsense /usr/lib/podsense /usr/share/podsense /lib/systemd/system/podsense.service; do
    [ ! -e "$left" ] || die "left behind: $left"
  done
  echo "try: deb: answered $answered ms after its start"
}

try_tar() {
  local place="$work/a place of its own"
  mkdir -p "$place"
  for archive in "$dist"/podsense-*.tar.gz; do tar -C "$place" -xf "$archive"; done
  mv "$place"/podsense-* "$place/moved"
  cd "$work"
  ask "$place/moved/bin/podsense" serve
  only_from "$place/moved"
  end_server
  # Elsewhere, over a link.
  ln -s "$place/moved/bin/podsense" "$work/link"
  "$work/link" version >/dev/null || die "not over a link"
  echo "try: tar: answered $answered ms after its start"
}

try_wheel() {
  local site began
  apt-get -q update >/dev/null
  get python3-venv ca-certificates
  python3 -m venv "$work/venv"
  began=$(date +%s%3N)
  "$work/venv/bin/pip" -q --disable-pip-version-check install --find-links "$dist" 'podsense[models]'
  echo "try: wheel: installed in $(($(date +%s%3N) - began)) ms, with its downloads"
  cd "$work"
  ask "$work/venv/bin/podsense" serve
  site=$(dirname "$("$work/venv/bin/python" -c 'import podsense; print(podsense.__path__[0])')")
  # What every system of the manylinux policy has: libstdc++, libgcc, zlib.
  only_from "$site" /usr/lib/*-linux-gnu/libz.so.1 /usr/lib/*-linux-gnu/libstdc++.so.6 /usr/lib/*-linux-gnu/libgcc_s.so.1
  grep -q "$site/onnxruntime/capi/libonnxruntime.so" "/proc/$server/maps" || die "ONNX Runtime is not the wheel's"
  end_server
  # onnxruntime elsewhere on the path, as the system's is for a package of --user.
  mkdir "$work/elsewhere"
  mv "$site/onnxruntime" "$work/elsewhere/"
  if "$work/venv/bin/podsense" version >"$work/out" 2>&1; then die "it started without ONNX Runtime"; fi
  grep -q 'pip install onnxruntime==' "$work/out" || die "without ONNX Runtime it said: $(cat "$work/out")"
  PYTHONPATH=$work/elsewhere "$work/venv/bin/podsense" version >/dev/null || die "it does not find ONNX Runtime elsewhere"
  echo "try: wheel: answered $answered ms after its start"
}

case ${1:-} in
  deb | tar | wheel) "try_$1" ;;
  *) die "usage: try.sh deb|tar|wheel" ;;
esac
