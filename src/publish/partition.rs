//! Where a key belongs: the placement of Java clients, so that every producer agrees on it.

/// Hash of a key, 31 bits: murmur2 as in Apache Kafka's `Utils.murmur2`, made positive as in
/// `Utils.toPositive`. Its remainder by the number of partitions is the partition.
pub fn key_hash(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    // A key has fewer than 2^32 bytes: a record is at most 16 MiB.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    let mut hash = words.iter().fold(0x9747_b28c ^ length, |hash, word| {
        let word = u32::from_le_bytes(*word).wrapping_mul(M);
        hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M)
    });
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)) & 0x7fff_ffff
}

/// The partition of a key with this hash.
pub fn partition(key_hash: u32, partitions: u32) -> u32 {
    key_hash % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_agree_with_those_of_the_java_client() {
        // From `UtilsTest.testMurmur2` of Apache Kafka.
        let published: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, hash) in published {
            assert_eq!(key_hash(key), hash.cast_unsigned() & 0x7fff_ffff, "{}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn a_partition_is_the_remainder() {
        assert_eq!((partition(25, 12), partition(25, 1), partition(25, 0)), (1, 0, 0));
    }
}
