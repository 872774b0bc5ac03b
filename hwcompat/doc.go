// Package hwcompat holds what is known to work, as data, and the questions
// that can be asked of it.
//
// The data are the TOML files in data/, embedded in the binary so that an
// offline server has them. Two families never mix: the tables of the original
// product, transcribed with its misprints (printed values stay, our reading is
// beside them), and our own rows in platforms.toml, daemons.toml and
// meanings.toml. README.md describes every file; MATRIX.md is generated.
//
// A claim is only as good as its evidence: each says how it was verified and
// when, "not-tried" is a value of its own, and Lint refuses a claim from a
// virtual machine whose test does not exist.
//
// Facts about one machine are gathered by package host, judged by package
// doctor.
package hwcompat

//go:generate go run ./matrixgen
