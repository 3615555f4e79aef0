//! A path between two NICs that is measured, in a lab or between real NICs.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bailey_lab::{Daemon, NicTestbed};
use bailey_nic::mix::Mix;
use bailey_nic::tester::Tester;

use super::Arguments;
use super::series::{RunValue, measure};

/// A path between two NICs, and the tester that measures it.
pub(super) struct MeasuredLink {
    pub(super) name: String,
    tester: Arc<Mutex<Tester>>,
    lab: Option<Lab>,
}

/// The laboratory of a link. Fields drop in order: the daemon stops before its namespaces
/// disappear.
pub(super) struct Lab {
    pub(super) _daemon: Option<Daemon>,
    pub(super) rack: NicTestbed,
}

impl MeasuredLink {
    /// A link between interfaces in the network namespace of this thread.
    pub(super) fn here(name: &str, tester: Tester) -> Self {
        Self {
            name: name.to_owned(),
            tester: Arc::new(Mutex::new(tester)),
            lab: None,
        }
    }

    /// A link between the tester's interfaces of a lab.
    pub(super) fn in_lab(name: &str, tester: Tester, lab: Lab) -> Self {
        Self {
            lab: Some(lab),
            ..Self::here(name, tester)
        }
    }

    /// Interfaces, queues and modes in one line.
    pub(super) fn describe(&self) -> String {
        let tester = self.tester.lock().unwrap_or_else(PoisonError::into_inner);
        tester.describe()
    }

    pub(super) fn load(&self, mix: Mix) {
        let mut tester = self.tester.lock().unwrap_or_else(PoisonError::into_inner);
        tester.load(mix);
    }

    /// Runs all selected procedures once.
    pub(super) fn measure(&self, arguments: &Arguments) -> Result<Vec<RunValue>> {
        let tester = Arc::clone(&self.tester);
        let arguments = arguments.clone();
        let job = move || {
            let mut tester = tester.lock().unwrap_or_else(PoisonError::into_inner);
            measure(&mut tester, &arguments)
        };
        match &self.lab {
            Some(lab) => lab.rack.tester.run(job),
            None => job(),
        }
    }
}
