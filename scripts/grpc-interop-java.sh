#!/usr/bin/env bash
# Gets (once) the Java client of gRPC's interoperability tests into the cache that clean clones share,
# and prints the class path of it. It alone of gRPC's clients has the cases of compressed messages.
#
#   java -cp "$(scripts/grpc-interop-java.sh)" io.grpc.testing.integration.TestServiceClient --test_case=…
#
# Needs java from 17 on and mvn: scripts/setup.sh --conformance installs them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# = 0 ] || die "usage: grpc-interop-java.sh"
version=1.79.0
folder=$podsense_cache/grpc-interop-java-$version

# get TO : the client and what it stands on.
get() {
  local program
  for program in java mvn; do
    command -v $program >/dev/null ||
      die "there is no $program: scripts/setup.sh --conformance installs it"
  done
  cat >"$1/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>podsense</groupId>
  <artifactId>grpc-interop</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.grpc</groupId>
      <artifactId>grpc-interop-testing</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
END
  (cd "$1" && mvn --batch-mode --quiet dependency:copy-dependencies -DoutputDirectory="$1")
}
build_once "$folder" "the Java client of gRPC's interoperability tests" get
echo "$folder/*"
