// SPDX-License-Identifier: Apache-2.0

// Package chart draws bars as SVG, by hand, because that is all the report
// needs. Colours, the page's included, follow the reader's light or dark setting by a style sheet in
// the picture; every bar carries its figure as text, so nothing depends on
// telling colours or lengths apart.
package chart
