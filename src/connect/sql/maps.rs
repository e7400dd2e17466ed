//! Maps and sets of keys, of which a batch makes some for each of its records. Their hash is seeded anew in each process.

use foldhash::fast::RandomState;

/// A map.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A set.
pub(super) type HashSet<K> = std::collections::HashSet<K, RandomState>;
