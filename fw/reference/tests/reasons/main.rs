//! Every reason of docs/packets.md that a frame alone can have, on frames made by hand.

/// Protocols that pass without policy on the link.
mod control;
/// IPv6 extension headers.
mod extension;
/// Fragments of both families.
mod fragments;
/// Builders of frames.
mod frames;
/// ICMP errors.
mod icmp_error;
/// IP headers, addresses and options.
mod ip;
/// TCP, UDP, SCTP and ICMP.
mod layer4;
/// Ethernet.
mod link;
/// VXLAN and Geneve.
mod tunnel;
