#!/usr/bin/env bash
# Builds the binaries of a release into dist/, one archive for each platform, and
# their checksums. The same commit makes the same archives, to the byte.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${VERSION:?the version, for example v1.2.3}"
GO=${GO:-go}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
mkdir -p dist
for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	os=${platform%/*} arch=${platform#*/}
	name=router_${VERSION#v}_${os}_${arch}
	mkdir -p "dist/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch "$GO" build -trimpath -buildvcs=false \
		-ldflags "-s -w -buildid= -X main.version=$VERSION -X main.revision=${REVISION:-}" -o "dist/$name/router" ./cmd/router
	cp LICENSE README.md CHANGELOG.md "dist/$name/"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mode=go-w --mtime="@$epoch" -C dist -cf - "$name" | gzip -n9 >"dist/$name.tar.gz"
	rm -r "dist/$name"
done
cd dist && sha256sum -- *.tar.gz >SHA256SUMS && cat SHA256SUMS
