// Package image tests how the image of the router is built: with ko's own library
// and the configuration that a release uses, but an empty base image, so that no
// registry is needed. A module of its own keeps ko out of the router's.
package image
