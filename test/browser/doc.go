// Package browser tests the pages for the people of a channel in headless Chromium: the real program, NATS, SQLite and
// PostgreSQL, and the CyTube simulator. It is a module of its own, so that no other part of the project has its
// dependencies.
//
// The tests are skipped where no Chromium is installed. With ROSEY_SCREENSHOTS=DIR they write pictures of every page
// there, light and dark, wide and narrow. With ROSEY_AXE=FILE, the script of axe-core, they check the pages with it.
package browser
