//! Replaces addresses and names in a text, each always by the same other one.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names to replace, and the addresses replaced so far, each with its replacement.
#[derive(Debug, Default)]
pub(super) struct Redaction {
    names: BTreeMap<String, String>,
    addresses: HashMap<IpAddr, IpAddr>,
}

impl Redaction {
    /// Replaces this name wherever it is a whole word.
    pub(super) fn add_name(&mut self, name: &str) {
        let number = self.names.len() + 1;
        if !name.is_empty() && !self.names.contains_key(name) {
            self.names.insert(name.to_owned(), format!("name-{number}"));
        }
    }

    /// The text without addresses and names.
    pub(super) fn apply(&mut self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(is_part) {
            redacted.push_str(&rest[..begin]);
            rest = &rest[begin..];
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            redacted.push_str(&self.word(&rest[..end]));
            rest = &rest[end..];
        }
        redacted + rest
    }

    /// A word: an address, an address with a port, a name, or several of them.
    fn word(&mut self, word: &str) -> String {
        if let Ok(address) = word.parse::<IpAddr>() {
            return self.address(address).to_string();
        }
        if let Some(name) = self.names.get(word) {
            return name.clone();
        }
        // At the last separator that leaves a known part: `10.0.0.1:80`, `web:`, `shop.yaml`.
        for separator in [':', '.'] {
            if let Some((first, last)) = word.rsplit_once(separator) {
                let parts = [first, last].map(|part| self.word(part));
                return parts.join(&separator.to_string());
            }
        }
        word.to_owned()
    }

    /// Another address of the same family and kind: documentation addresses are none, so they do not collide.
    fn address(&mut self, address: IpAddr) -> IpAddr {
        if address.is_unspecified() || address.is_loopback() {
            return address;
        }
        let number = self.addresses.len() as u32 + 1;
        *self
            .addresses
            .entry(address)
            .or_insert_with(|| match address {
                IpAddr::V4(_) => Ipv4Addr::from(0x0a00_0000 | number & 0x00ff_ffff).into(),
                IpAddr::V6(_) => Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(number)).into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_replaced_alike_everywhere() {
        let mut redaction = Redaction::default();
        for name in ["shop", "web-0", "node-1.example"] {
            redaction.add_name(name);
        }
        let text = "node-1.example: TCP 198.51.100.20:51544 -> shop/web-0 (10.42.0.11/32) by shop default-deny \
                    at shop.yaml:3; [2001:db8::1]:80, 198.51.100.20, workshop, 12:30:01Z, 0.0.0.0/0";
        let expected = "name-3: TCP 10.0.0.1:51544 -> name-1/name-2 (10.0.0.2/32) by name-1 default-deny \
                        at name-1.yaml:3; [fd00::3]:80, 10.0.0.1, workshop, 12:30:01Z, 0.0.0.0/0";
        assert_eq!(redaction.apply(text), expected);
        assert_eq!(redaction.apply("10.42.0.11"), "10.0.0.2");
    }

    #[test]
    fn text_that_is_no_name_stays() {
        let mut redaction = Redaction::default();
        redaction.add_name("web");
        for text in [
            "{\"web_count\": 1}",
            "webs",
            "",
            "::",
            "a:b.c-",
            "\u{1b}[0m é",
        ] {
            assert_eq!(redaction.apply(text), text);
        }
    }
}
