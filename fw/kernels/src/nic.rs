//! The NICs that qemu emulates: their drivers, qemu's arguments and the cables between them.

/// A NIC driver. Each machine gets four of its NICs, connected in pairs.
pub(crate) struct Driver {
    /// The kernel's name of the driver, also the column of the matrix.
    pub(crate) name: &'static str,
    /// qemu's device and its options.
    device: &'static str,
    /// Distinguishes MAC addresses, hubs and PCI slots of different drivers.
    id: u8,
}

/// The drivers beside veth. virtio_net accepts XDP only if the guest's offloads are off.
pub(crate) const DRIVERS: [Driver; 2] = [
    Driver {
        name: "virtio_net",
        device: "virtio-net-pci,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,\
                 guest_ecn=off,guest_ufo=off",
        id: 1,
    },
    Driver {
        name: "igb",
        device: "igb",
        id: 2,
    },
];

impl Driver {
    /// qemu's arguments for four NICs: the first two share one hub, the last two another. Each has
    /// a PCIe port of its own, because an igb uses the bus numbers that follow.
    pub(crate) fn qemu_arguments(&self) -> Vec<String> {
        (0..4)
            .flat_map(|nic| {
                let (name, device) = (self.name, self.device);
                let id = self.id * 10 + nic;
                let hub = self.id * 10 + nic / 2;
                [
                    "-netdev".to_owned(),
                    format!("hubport,id=net{id},hubid={hub}"),
                    "-device".to_owned(),
                    format!("pcie-root-port,id=port{id},chassis={id},slot={id},bus=pcie.0"),
                    "-device".to_owned(),
                    format!(
                        "{device},id={name}{nic},bus=port{id},netdev=net{id},mac={}",
                        self.mac(nic)
                    ),
                ]
            })
            .collect()
    }

    /// The MAC address by which the guest finds the PCI slot of a NIC.
    pub(crate) fn mac(&self, nic: u8) -> String {
        format!("02:00:00:00:{:02x}:{nic:02x}", self.id)
    }

    /// The value of `BAILEY_LAB_PAIRS`: the NICs that the lab uses in place of its veth pairs.
    pub(crate) fn pairs(&self) -> String {
        let [a, b, c, d] = [0, 1, 2, 3].map(|nic| self.mac(nic));
        format!("{a}={b},{c}={d}")
    }
}
