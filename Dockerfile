# syntax=docker/dockerfile:1
# The image of the router: one static binary, nothing to write to, no user but nonroot.
# `make image` sets VERSION and REVISION. What is built here and by .ko.yaml is the
# same to the byte.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel REVISION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.revision=$REVISION" \
    -o /router ./cmd/router

FROM gcr.io/distroless/static-debian13:nonroot
ARG VERSION=devel REVISION
LABEL org.opencontainers.image.title="voice call router" \
      org.opencontainers.image.source="https://github.com/voicerouter/voicerouter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# On the path, for `kubectl exec POD -- router ...`
COPY --from=build /router /usr/local/bin/router
USER 65532:65532
EXPOSE 9090
ENTRYPOINT ["/usr/local/bin/router"]
