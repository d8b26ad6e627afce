// Package legacy imports from other bots for CyTube: from the Python Rosey (the public repository
// grobertson/Rosey-Robot) the rows of its SQLite file, and its configuration file, version 2; and the rows of the
// SQLite file of nuclearace/CytubeBot and of its fork airforce270/CytubeBot.
//
// [Open] opens a database file for reading only and recognizes by its tables and columns which [Program] wrote it. All
// rows are read in one transaction, so they are one snapshot; values are read leniently, since SQLite does not enforce
// the types of columns. [Import] reads table by table and writes what it finds to a [store.Importer]. It can be
// interrupted and repeated: each row becomes an event whose id is derived from the row's content, so the same row is
// the same event every time; records merge; and totals replace those of an earlier import. A [Summary] accounts for
// every row: imported, already there, a duplicate, or skipped with a reason.
//
// Two mistakes of the Python bot are corrected on the way: it stored and counted each line of chat twice, and it kept
// the spellings of one user name apart. Lines that this project's bot stored too, because both bots were in the
// channel for a while, are neither stored nor counted twice. They have the same time if the other bot is a CytubeBot,
// and nearly the same if it is the Python bot.
//
// A CytubeBot removes nothing, so its rows are stored as they are read: the memory for an import depends on the number
// of users, and not on that of lines.
//
// [ConvertConfig] converts a configuration file while package config loads it.
package legacy
