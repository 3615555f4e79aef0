//! Ethernet: tags, EtherTypes and the frames that pass unread.

use bailey_reference::{Frames, Parsed, parse};

use crate::frames::{
    SYN, TCP, concat, drops, ethernet, ethernet_to, ipv4, packet, packet_of, passes, tcp,
};

#[test]
fn truncated_ethernet_is_dropped() {
    drops(&[0; 13], "eth-truncated");
    drops(&ethernet(0x8100, &[0, 5, 8]), "eth-truncated");
}

#[test]
fn third_vlan_tag_is_dropped() {
    drops(&ethernet(0x88a8, &[0, 5, 0x81, 0, 0, 6, 0x91, 0]), "vlan");
}

#[test]
fn vlan_tags_make_the_zone() {
    let tagged = |tags: &[u8]| ethernet(0x8100, &concat(&[tags, &ipv4(TCP).packet(&tcp(SYN))]));
    let one = tagged(&[0xe0, 5, 8, 0]);
    let zones = Frames {
        vlan_zones: true,
        ..Frames::default()
    };
    assert_eq!(packet(&one).zone, 0);
    assert_eq!(packet_of(&one, &zones).zone, 5);
    assert_eq!(
        packet_of(&tagged(&[0, 5, 0x91, 0, 0, 6, 8, 0]), &zones).zone,
        5 * 4096 + 6
    );
    assert_eq!(
        packet_of(&tagged(&[0, 5, 0x91, 0, 0, 0, 8, 0]), &zones).zone,
        5
    );
    assert_eq!(
        packet_of(&tagged(&[0, 0, 0x91, 0, 0, 6, 8, 0]), &zones).zone,
        6
    );
}

#[test]
fn arp_passes() {
    passes(&ethernet(0x0806, &[]), "arp");
}

#[test]
fn link_local_control_passes() {
    passes(
        &ethernet_to([1, 0x80, 0xc2, 0, 0, 0x0f], 0x88cc, &[]),
        "link-local-control",
    );
    drops(
        &ethernet_to([1, 0x80, 0xc2, 0, 0, 0x10], 0x88cc, &[]),
        "ethertype",
    );
}

#[test]
fn llc_passes_on_bridge_only() {
    let bridge = Frames {
        bridge: true,
        ..Frames::default()
    };
    let frame = ethernet(0x0026, &[0x42, 0x42, 3]);
    assert_eq!(parse(&frame, &bridge), Parsed::Pass("llc"));
    drops(&frame, "ethertype");
    assert_eq!(
        parse(&ethernet(0x0026, &[0xaa, 0xaa, 3]), &bridge),
        Parsed::Drop("ethertype")
    );
    assert_eq!(
        parse(&ethernet(0x0026, &[0x42]), &bridge),
        Parsed::Drop("ethertype")
    );
    assert_eq!(
        parse(&ethernet(0x0026, &[0x06, 0x06, 3]), &bridge),
        Parsed::Drop("ethertype"),
        "the SAP of IP"
    );
}

/// PVST+, CDP, UDLD and EDP pass; encapsulations of IP do not.
#[test]
fn snap_of_switches_passes_to_groups_only() {
    let bridge = Frames {
        bridge: true,
        ..Frames::default()
    };
    let group = [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd];
    let station = [0x02, 0, 0, 0, 0, 1];
    let parsed = |to: [u8; 6], vendor: [u8; 3], kind: u16| {
        let header = concat(&[&[0xaa, 0xaa, 3], &vendor, &kind.to_be_bytes()]);
        parse(&ethernet_to(to, 0x0026, &header), &bridge)
    };
    for (vendor, kind) in [
        ([0, 0, 0x0c], 0x010b),
        ([0, 0, 0x0c], 0x2000),
        ([0, 0, 0x0c], 0x0111),
        ([0, 0xe0, 0x2b], 0x00bb),
    ] {
        assert_eq!(
            parsed(group, vendor, kind),
            Parsed::Pass("llc"),
            "{kind:04x}"
        );
        assert_eq!(parsed(station, vendor, kind), Parsed::Drop("ethertype"));
    }
    for (vendor, kind) in [
        ([0, 0, 0], 0x0800),
        ([0, 0, 0], 0x88cc),
        ([0, 0, 0xf8], 0x86dd),
        ([0, 0x80, 0xc2], 0x0007),
        ([0, 0, 0x0c], 0x0800),
        ([0, 0, 0x0c], 0x8100),
    ] {
        assert_eq!(
            parsed(group, vendor, kind),
            Parsed::Drop("ethertype"),
            "{kind:04x}"
        );
    }
}

#[test]
fn unknown_ethertype_passes_if_listed() {
    let frame = ethernet(0x8847, &[]);
    drops(&frame, "ethertype");
    let allowed = Frames {
        ethertypes: vec![0x8847],
        ..Frames::default()
    };
    assert_eq!(parse(&frame, &allowed), Parsed::Pass("ethertype-allowed"));
}
