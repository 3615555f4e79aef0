//! The reloader turns files into an installed generation, or keeps the last one and returns the
//! reason. The datapath is a fake that records the installed tables.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;

use bailey_compile::{RuleIds, Tables};
use bailey_config::Config;
use bailey_daemon::reconcile::{CommitReport, Reconciler, Refusal, ReloadOutcome};
use bailey_datapath::{Committed, DatapathError, Enforcer};
use bailey_state::rule_ids::RuleNames;
use tempfile::TempDir;

/// Records the installed tables.
#[derive(Default)]
struct Fake {
    installed: Vec<Tables>,
    fails: bool,
    carried: Vec<u32>,
}

impl Enforcer for Fake {
    fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError> {
        if self.fails {
            return Err(DatapathError::ReadBack {
                name: "classes".into(),
            });
        }
        self.installed.push(tables.clone());
        let generation = self.installed.len() as u32;
        Ok(Committed {
            generation,
            slot: generation % 8,
            events: Vec::new(),
            carried: None,
        })
    }

    fn ids_in_use(&self, _ids: &RuleIds) -> Result<Vec<u32>, DatapathError> {
        Ok(self.carried.clone())
    }
}

struct Setup {
    directory: TempDir,
    reloader: Reconciler,
    fake: Fake,
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: x}\n\
                   status: {podIP: 10.0.0.1}\n";

fn policy(name: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: {name}, namespace: x}}\nspec: {{podSelector: {{}}}}\n"
    )
}

impl Setup {
    fn new(extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display();
        fs::create_dir(directory.path().join("p")).unwrap();
        let text = format!("policies = [\"{root}/p\"]\n{extra}\n[paths]\nstate = \"{root}\"\n");
        let config = Config::parse(&text).unwrap();
        let setup = Self {
            directory,
            reloader: Reconciler::new(config, RuleIds::default(), false),
            fake: Fake::default(),
        };
        setup.write("pod.yaml", POD);
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("p").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn reload(&mut self) -> ReloadOutcome {
        self.reloader.reload(&mut self.fake, || true)
    }

    fn committed(&mut self) -> Box<CommitReport> {
        match self.reload() {
            ReloadOutcome::Committed(generation) => generation,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self) -> Refusal {
        let before = self.fake.installed.len();
        match self.reload() {
            ReloadOutcome::Refused(refusal) => {
                assert_eq!(self.fake.installed.len(), before);
                refusal
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn unchanged_policies_are_not_committed() {
    let mut setup = Setup::new("");
    setup.write("a.yaml", &policy("a"));
    assert_eq!(setup.committed().stats.policies, 1);
    assert!(setup.reloader.is_current());
    assert!(matches!(setup.reload(), ReloadOutcome::Unchanged));
    setup.write("a.yaml", &format!("# a comment\n{}", policy("a")));
    assert!(!setup.reloader.is_current());
    assert!(matches!(setup.reload(), ReloadOutcome::Unchanged));
    assert!(setup.reloader.is_current());
    setup.write("b.yaml", &policy("b"));
    assert_eq!(setup.committed().committed.generation, 2);
    assert_eq!(
        setup.reloader.selection().0,
        [("x/a".to_owned(), 1), ("x/b".to_owned(), 1)]
    );
}

#[test]
fn all_file_errors_are_reported_nothing_is_installed() {
    let mut setup = Setup::new("");
    setup.write("a.yaml", &policy("a").replace("podSelector", "podSelektor"));
    setup.write("b.yaml", "a: [");
    let refusal = setup.refused();
    assert_eq!(refusal.messages.len(), 2, "{:?}", refusal.messages);
    assert!(refusal.messages[0].contains("unknown field \"spec.podSelektor\""));
    assert!(
        setup.reloader.is_current(),
        "the same files would give the same errors"
    );
    setup.write("a.yaml", &policy("a"));
    setup.write("b.yaml", "");
    setup.committed();
    setup.write("b.yaml", "a: [");
    setup.refused();
    fs::remove_file(setup.path("b.yaml")).unwrap();
    assert!(matches!(setup.reload(), ReloadOutcome::Unchanged));
}

#[test]
fn removing_all_policies_needs_allow_empty() {
    let mut setup = Setup::new("");
    setup.write("a.yaml", &policy("a"));
    setup.committed();
    fs::remove_file(setup.path("a.yaml")).unwrap();
    assert!(setup.refused().messages[0].contains("no policies left"));
    fs::remove_dir_all(setup.path("")).unwrap();
    assert!(setup.refused().messages[0].contains("No such file"));

    let mut setup = Setup::new("allow_empty = true");
    setup.write("a.yaml", &policy("a"));
    setup.committed();
    fs::remove_dir_all(setup.path("")).unwrap();
    let generation = setup.committed();
    assert_eq!(generation.stats.policies, 0);
    assert!(
        generation
            .warnings
            .iter()
            .any(|w| w.contains("NOTHING IS ENFORCED"))
    );
}

#[test]
fn policy_without_endpoints_is_warned_about() {
    let mut setup = Setup::new("");
    setup.write(
        "a.yaml",
        &policy("a").replace("namespace: x", "namespace: other"),
    );
    let warnings = setup.committed().warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w == "NetworkPolicy other/a selects no endpoint"),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|w| w.contains("NOTHING IS ENFORCED")),
        "{warnings:?}"
    );
}

#[test]
fn generation_refused_by_datapath_is_retried() {
    let mut setup = Setup::new("");
    setup.write("a.yaml", &policy("a"));
    setup.fake.fails = true;
    assert!(setup.refused().messages[0].contains("read back differs"));
    assert!(!setup.reloader.is_current(), "the reloader must retry");
    setup.fake.fails = false;
    setup.committed();
}

#[test]
fn exceeded_limit_names_setting_and_value() {
    let mut setup = Setup::new("[limits]\nrules = 17\n");
    setup.write("a.yaml", &policy("a"));
    setup.committed();
    setup.write(
        "b.yaml",
        &policy("b").replace("{podSelector: {}}", "{ingress: [{}, {}]}"),
    );
    let message = setup.refused().messages.remove(0);
    assert!(
        message.contains("the limit is 17") && message.contains("limits.rules"),
        "{message}"
    );
    let mut setup = Setup::new("[limits]\ntable_bytes = 1000\n");
    setup.write("a.yaml", &policy("a"));
    assert!(setup.refused().messages[0].contains("limits.table_bytes"));
    let mut setup = Setup::new("[limits]\nclasses = 1\n");
    setup.write("a.yaml", &policy("a"));
    assert!(setup.refused().messages[0].contains("limits.classes"));
}

#[test]
fn rule_ids_are_stable_and_readable_from_disk() {
    let mut setup = Setup::new("");
    setup.write(
        "b.yaml",
        &policy("b").replace("{podSelector: {}}", "{ingress: [{}]}"),
    );
    setup.committed();
    let before = RuleNames::read(setup.directory.path()).unwrap();
    setup.write(
        "a.yaml",
        &policy("a").replace("{podSelector: {}}", "{ingress: [{}]}"),
    );
    setup.committed();
    let after = RuleNames::read(setup.directory.path()).unwrap();
    let id = |names: &RuleNames| {
        names
            .rules
            .iter()
            .find(|rule| rule.long() == "x/b ingress[0]")
            .map(|rule| rule.id)
            .unwrap()
    };
    assert_eq!(id(&before), id(&after));
    assert_eq!(after.label(id(&after)), "x/b in[0]");
}

#[test]
fn ids_in_use_by_flows_are_not_reused() {
    let mut setup = Setup::new("[limits]\nrules = 64\n");
    let mut seen = std::collections::BTreeSet::new();
    // Every round replaces the policy. If ids were not released, the limit would be reached.
    for round in 0..60 {
        setup.write(
            "a.yaml",
            &policy(&format!("a{round}")).replace("{podSelector: {}}", "{ingress: [{}]}"),
        );
        setup.committed();
        seen.extend(setup.reloader.ids().iter().map(|(id, _)| id));
    }
    assert!(seen.iter().max() < Some(&64));
    setup.fake.carried = (0..64).collect();
    let mut refused = false;
    for round in 60..120 {
        setup.write(
            "a.yaml",
            &policy(&format!("a{round}")).replace("{podSelector: {}}", "{ingress: [{}]}"),
        );
        refused |= matches!(setup.reload(), ReloadOutcome::Refused(_));
    }
    assert!(refused, "ids in use by flows are not given to other rules");
}

#[test]
fn files_that_change_during_read_are_reread() {
    let mut setup = Setup::new("");
    setup.write("a.yaml", &policy("a"));
    assert!(matches!(
        setup.reloader.reload(&mut setup.fake, || false),
        ReloadOutcome::FilesChanged
    ));
    assert!(setup.fake.installed.is_empty());
    assert!(!setup.reloader.is_current());
    setup.committed();
}
