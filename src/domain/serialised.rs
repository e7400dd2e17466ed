//! PHP-serialised values, rewritten with the right lengths.
