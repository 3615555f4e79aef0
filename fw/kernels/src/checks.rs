use std::collections::BTreeMap;

use anyhow::Result;
use bailey_kernels::plan::Check;

use crate::build::Programs;
use crate::purpose::Purpose;

/// A driver whose cards are connected in pairs.
pub(crate) struct Driver {
    /// The column.
    pub(crate) name: &'static str,
    /// qemu's device.
    device: &'static str,
    /// Apart from those of other drivers.
    number: u8,
}

/// The drivers beside veth. XDP of virtio_net wants the guest's offloads off.
pub(crate) const DRIVERS: [Driver; 2] = [
    Driver {
        name: "virtio_net",
        device: "virtio-net-pci,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,\
                 guest_ecn=off,guest_ufo=off",
        number: 1,
    },
    Driver {
        name: "igb",
        device: "igb",
        number: 2,
    },
];

impl Driver {
    /// Arguments of qemu: four cards, the first two and the last two on one wire each. A port of its
    /// own for each: an igb needs the bus numbers after its own.
    pub(crate) fn cards(&self) -> Vec<String> {
        (0..4)
            .flat_map(|card| {
                let (name, device) = (self.name, self.device);
                let id = self.number * 10 + card;
                let hub = self.number * 10 + card / 2;
                [
                    "-netdev".to_owned(),
                    format!("hubport,id=net{id},hubid={hub}"),
                    "-device".to_owned(),
                    format!("pcie-root-port,id=port{id},chassis={id},slot={id},bus=pcie.0"),
                    "-device".to_owned(),
                    format!(
                        "{device},id={name}{card},bus=port{id},netdev=net{id},mac={}",
                        self.mac(card)
                    ),
                ]
            })
            .collect()
    }

    /// By which the guest knows the card.
    fn mac(&self, card: u8) -> String {
        format!("02:00:00:00:{:02x}:{card:02x}", self.number)
    }

    /// For the lab: which cards stand for its veth pairs.
    fn pairs(&self) -> String {
        let [a, b, c, d] = [0, 1, 2, 3].map(|card| self.mac(card));
        format!("{a}={b},{c}={d}")
    }
}

/// What a machine of this purpose does.
pub(crate) fn of(purpose: Purpose, programs: &Programs) -> Result<Vec<Check>> {
    if purpose == Purpose::Cost {
        return Ok(vec![cost()]);
    }
    let on_cards = purpose == Purpose::Cards;
    let mut checks = tests(programs)?;
    checks.retain(|check| on_cards == DRIVERS.iter().any(|known| known.name == check.driver));
    Ok(checks)
}

/// What every kernel does.
fn tests(programs: &Programs) -> Result<Vec<Check>> {
    let guest = "/init".to_owned();
    let mut checks = Vec::new();
    let mut add =
        |driver: &str, feature: &str, command: Vec<String>, pairs: Option<String>, seconds| {
            let mut environment = BTreeMap::new();
            environment.insert("BAILEY_FUZZ_FRAMES".to_owned(), "2000".to_owned());
            if let Some(pairs) = pairs {
                environment.insert("BAILEY_LAB_PAIRS".to_owned(), pairs);
            }
            checks.push(Check {
                driver: driver.to_owned(),
                feature: feature.to_owned(),
                command,
                environment,
                seconds,
            });
        };
    let measure = |what: &str| vec![guest.clone(), "measure".into(), what.into()];
    let test = |name: &str, only: &[&str]| -> Result<Vec<String>> {
        let program = programs.path(name)?.to_string_lossy().into_owned();
        let fixed = ["--include-ignored", "--test-threads=1"];
        let arguments = fixed
            .iter()
            .chain(only)
            .map(|argument| (*argument).to_owned());
        Ok([program].into_iter().chain(arguments).collect())
    };
    add(
        "kernel",
        "programs verified",
        measure("programs"),
        None,
        120,
    );
    add("kernel", "fixtures", test("fixtures", &[])?, None, 360);
    add("kernel", "packets", test("packets", &[])?, None, 600);
    add("kernel", "safety", test("safety", &SAFETY)?, None, 480);
    add("kernel", "floods", test("flood", &FLOODS)?, None, 360);
    add(
        "kernel",
        "rate limits",
        test("rate_limit", &LIMITS)?,
        None,
        360,
    );
    add(
        "kernel",
        "parsers agree",
        test("parse_fuzz", &[])?,
        None,
        120,
    );
    let veth = [("veth", None)].into_iter();
    let cards = DRIVERS.iter().map(|driver| (driver.name, Some(driver)));
    for (name, driver) in veth.chain(cards) {
        let pairs = driver.map(Driver::pairs);
        if let Some(driver) = driver {
            // First: a card is on its way back for a while after a lab.
            let mut nic = measure("nic");
            nic.push(driver.mac(0));
            add(name, "AF_XDP zero-copy, told", nic, None, 20);
        }
        let bonds = ON_VETH.iter().filter(|_| driver.is_none());
        let answers = ONLY_CARDS.iter().filter(|_| driver.is_some());
        for &(feature, program, only) in ON_CARDS.iter().chain(bonds).chain(answers) {
            let command = test(program, &["--exact", only])?;
            add(name, feature, command, pairs.clone(), 180);
        }
    }
    Ok(checks)
}

/// How much a table holds is no matter of the kernel, and filling it takes an emulated machine a minute.
const SAFETY: [&str; 2] = ["--skip", "hundred_thousand_blocks_fit_and_apply"];

/// Of the tests of floods and limits, those that use every helper: an emulated machine takes a minute for
/// all.
const FLOODS: [&str; 3] = [
    "--exact",
    "client_that_answers_the_challenge_is_admitted",
    "retransmitted_syn_is_admitted",
];
const LIMITS: [&str; 2] = ["--exact", "rule_admits_no_more_than_its_limit"];

/// What every driver does: the feature, the program, and its test. Each in a process of its own: with the
/// process goes what it has attached to a card.
const ON_CARDS: [(&str, &str, &str); 8] = [
    (
        "host: native XDP and tc",
        "real_packets",
        "allowed_both_ways_denied_silently_and_every_packet_counted",
    ),
    (
        "bridge: native XDP",
        "bridge",
        "the_bump_forwards_what_policy_allows_and_nothing_else",
    ),
    (
        "router: native XDP",
        "router",
        "what_is_forwarded_between_nics_leaves_in_xdp",
    ),
    (
        "fragments",
        "path",
        "large_datagrams_come_through_in_fragments",
    ),
    (
        "path MTU from inside",
        "path",
        "path_mtu_discovery_works_from_inside",
    ),
    (
        "path MTU from outside",
        "path",
        "path_mtu_discovery_works_from_outside",
    ),
    (
        "AF_XDP tester: all whole, in order",
        "links",
        "a_cable_brings_everything_back_whole_and_in_order",
    ),
    (
        "AF_XDP tester: RFC 2544",
        "links",
        "all_procedures_run_over_a_cable",
    ),
];

/// A veth delivers what XDP answers only to an XDP program, which takes a compiler to make.
const ONLY_CARDS: [(&str, &str, &str); 1] = [(
    "challenges and SYN cookies",
    "under_flood",
    "clients_prove_themselves_to_what_is_behind_and_to_the_node",
)];

/// Over veth: a NIC's MTU is its own affair, and a bond wants its two cables to end in one switch, and to lose their carrier together, which
/// qemu's hubs do not.
const ON_VETH: [(&str, &str, &str); 6] = [
    (
        "clsact: outlives the daemon",
        "clsact",
        "a_filter_outlives_the_daemon_is_adopted_and_taken_off",
    ),
    (
        "jumbo frames",
        "path",
        "jumbo_frames_are_read_in_many_buffers",
    ),
    (
        "active-backup bond, VLAN",
        "stacked",
        "xdp_on_an_active_backup_bond",
    ),
    ("LACP bond, VLAN", "stacked", "xdp_on_an_lacp_bond"),
    (
        "members of an LACP bond, VLAN",
        "stacked",
        "xdp_on_the_members_of_an_lacp_bond",
    ),
    (
        "a member that joins a bond",
        "stacked",
        "a_member_that_joins_a_bond_is_attached",
    ),
];

/// The check of a kernel whose clock counts instructions.
fn cost() -> Check {
    Check {
        driver: "kernel".into(),
        feature: "instructions per packet".into(),
        command: ["/init", "measure", "packets"].map(str::to_owned).into(),
        environment: BTreeMap::new(),
        seconds: 900,
    }
}
