package main

// version and revision are what a release is built from: set by the linker (see
// Dockerfile and .ko.yaml), since an image is built without the repository. Empty:
// what the go command recorded counts.
var version, revision string
