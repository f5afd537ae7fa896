"""Other programs' files of labels, read into values: never matched, decided or stored here."""
