use bailey_bpf::abi;

/// Two words of a key and of a secret, of NH (UMAC, RFC 4418).
pub(crate) fn nh_pair(a: u32, key_a: u32, b: u32, key_b: u32) -> u64 {
    u64::from(a.wrapping_add(key_a)) * u64::from(b.wrapping_add(key_b))
}

/// What the words that are zero in every IPv4 flow's key add to its hash: the first of each address.
pub(crate) fn common_of_v4(keys: &abi::flow_keys) -> u64 {
    let nh = &keys.nh;
    nh_pair(0, nh[2], 0, nh[3]).wrapping_add(nh_pair(0, nh[6], 0, nh[7]))
}
