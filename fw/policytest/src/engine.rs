//! Three implementations of the policy semantics behind one interface. Not for live packets: the kernel
//! engine runs the BPF program on packets that it builds.

#[cfg(target_os = "linux")]
use bailey_bpf::abi;
use bailey_compile::{CompileError, CompileLimits, RuleIds, Tables, compile};
#[cfg(target_os = "linux")]
use bailey_config::{Frames, Settings, Topology};
#[cfg(target_os = "linux")]
use bailey_datapath::{Datapath, DatapathError, Enforcer, PinDir};
#[cfg(target_os = "linux")]
use bailey_policy::OutOfScope;
use bailey_policy::{Connection, IsolatedDirections, LinkScope, Snapshot, Verdict, oracle};

/// One implementation of the policy semantics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// The oracle.
    Oracle,
    /// Compiled tables, looked up in Rust.
    Tables,
    /// Compiled tables, looked up by the loaded BPF program.
    Kernel,
}

impl Engine {
    /// Name in output and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oracle => "oracle",
            Self::Tables => "tables",
            Self::Kernel => "kernel",
        }
    }
}

/// Why an engine cannot evaluate.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The policy set exceeds a limit.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The kernel engine could not be set up: no permission, no BPF, or not Linux.
    #[error("the kernel engine is not available: {0}")]
    Unavailable(String),
    /// The kernel refused the tables or the packet.
    #[cfg(target_os = "linux")]
    #[error("kernel: {0}")]
    Datapath(#[from] DatapathError),
    /// An answer contradicts itself: a defect of Bailey.
    #[error("{engine} engine: inconsistent answer for {connection}: {detail}")]
    Contradiction {
        /// Name of the engine.
        engine: &'static str,
        /// The evaluated connection.
        connection: Connection,
        /// The contradiction.
        detail: String,
    },
}

/// The requested engines, set up for evaluation.
#[derive(Default)]
pub struct Engines {
    requested: Vec<Engine>,
    limits: CompileLimits,
    /// Scope of the bridge that connections cross; `None` evaluates policies alone.
    bridge: Option<LinkScope>,
    #[cfg(target_os = "linux")]
    kernel: Option<Datapath>,
}

/// A snapshot that is compiled and loaded for every requested engine.
#[derive(Debug)]
pub struct PreparedSnapshot<'a> {
    snapshot: &'a Snapshot,
    /// `None` if only the oracle was requested.
    tables: Option<Tables>,
}

impl Engines {
    /// Sets up engines that evaluate policies alone, or connections across a bridge with its own scope.
    /// The kernel engine loads its programs with maps that no other process can see, and attaches no
    /// program.
    ///
    /// # Errors
    /// If the kernel engine is requested and cannot be set up.
    pub fn new(
        requested: &[Engine],
        limits: CompileLimits,
        bridge: Option<LinkScope>,
    ) -> Result<Self, EngineError> {
        let mut engines = Self {
            requested: requested.to_vec(),
            limits,
            bridge,
            ..Self::default()
        };
        if requested.contains(&Engine::Kernel) {
            engines.start_kernel()?;
        }
        Ok(engines)
    }

    #[cfg(target_os = "linux")]
    fn start_kernel(&mut self) -> Result<(), EngineError> {
        let unavailable = |error: DatapathError| EngineError::Unavailable(error.to_string());
        let mut settings = Settings {
            flows: 8,
            ..Settings::default()
        };
        if let Some(scope) = &self.bridge {
            settings.topology = Topology::Bridge;
            settings.frames = Frames {
                groups: scope.groups.clone(),
                link_local: scope.services.clone(),
                ..Frames::default()
            };
        }
        let pins = PinDir::private().map_err(unavailable)?;
        self.kernel = Some(Datapath::open_probe(pins, settings).map_err(unavailable)?);
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn start_kernel(&mut self) -> Result<(), EngineError> {
        Err(EngineError::Unavailable("it requires Linux".into()))
    }

    /// The requested engines, in the order of their answers.
    pub fn requested(&self) -> &[Engine] {
        &self.requested
    }

    /// Compiles and loads a snapshot as far as the requested engines need it.
    ///
    /// # Errors
    /// If the snapshot exceeds a limit, or the kernel refuses it.
    pub fn prepare<'a>(
        &mut self,
        snapshot: &'a Snapshot,
    ) -> Result<PreparedSnapshot<'a>, EngineError> {
        if self.requested == [Engine::Oracle] {
            return Ok(PreparedSnapshot {
                snapshot,
                tables: None,
            });
        }
        let tables = compile(snapshot, &RuleIds::default(), &self.limits)?;
        #[cfg(target_os = "linux")]
        if let Some(kernel) = &mut self.kernel {
            kernel.install(&tables)?;
        }
        Ok(PreparedSnapshot {
            snapshot,
            tables: Some(tables),
        })
    }

    /// Evaluates a connection on one engine.
    ///
    /// # Errors
    /// If the answer contradicts itself, or the kernel refuses the packet.
    pub fn evaluate(
        &mut self,
        engine: Engine,
        prepared: &PreparedSnapshot<'_>,
        connection: &Connection,
    ) -> Result<Verdict, EngineError> {
        match engine {
            Engine::Oracle => {
                let isolates = IsolatedDirections::from(prepared.snapshot);
                let excluded = self.excluded_by_bridge(isolates, connection);
                Ok(excluded.unwrap_or_else(|| oracle::evaluate(prepared.snapshot, connection)))
            }
            Engine::Tables => {
                let tables = prepared.tables(engine, connection)?;
                self.excluded_by_bridge(tables.isolated_directions(), connection)
                    .or_else(|| tables.evaluate(connection))
                    .ok_or_else(|| contradiction(engine, connection, "damaged tables".into()))
            }
            #[cfg(target_os = "linux")]
            Engine::Kernel => self.evaluate_in_kernel(prepared, connection),
            #[cfg(not(target_os = "linux"))]
            Engine::Kernel => Err(EngineError::Unavailable("it requires Linux".into())),
        }
    }

    #[cfg(target_os = "linux")]
    fn evaluate_in_kernel(
        &mut self,
        prepared: &PreparedSnapshot<'_>,
        connection: &Connection,
    ) -> Result<Verdict, EngineError> {
        let contradiction = |detail: String| contradiction(Engine::Kernel, connection, detail);
        let tables = prepared.tables(Engine::Kernel, connection)?;
        let kernel = self.kernel.as_mut();
        let kernel = kernel.ok_or_else(|| contradiction("the engine was not set up".into()))?;

        // Such a packet never arrives on a NIC, and the program drops it as spoofed. The tables answer.
        if connection.source == connection.destination {
            let verdict = tables.evaluate(connection);
            return verdict.ok_or_else(|| contradiction("damaged tables".into()));
        }

        // The program drops packets outside the scope of the bridge before policy.
        let answer = kernel.probe(connection)?;
        let out_of_scope = match answer.reason {
            abi::REASON_DROP_GROUP => Some(OutOfScope::Group),
            abi::REASON_DROP_LINK_LOCAL => Some(OutOfScope::LinkLocal),
            _ => None,
        };
        if let Some(out_of_scope) = out_of_scope {
            return Ok(Verdict::out_of_scope(out_of_scope));
        }

        // The cells name the deciders; their verdict must be that of the packet.
        let Some((egress, ingress)) = answer.cells else {
            let reason = answer.reason_name();
            return Err(contradiction(format!("dropped as {reason}")));
        };
        let verdict = tables
            .verdict_of_cells(egress, ingress)
            .ok_or_else(|| contradiction(format!("invalid cells {egress:#x} {ingress:#x}")))?;
        if verdict.is_allowed() != answer.passes {
            let reason = answer.reason_name();
            return Err(contradiction(format!(
                "the cells say {verdict}, the packet ended with {reason}"
            )));
        }
        Ok(verdict)
    }

    /// The verdict on a connection that the bridge drops before policy.
    fn excluded_by_bridge(
        &self,
        isolates: IsolatedDirections,
        connection: &Connection,
    ) -> Option<Verdict> {
        let excluded = self.bridge.as_ref()?.find_exclusion(isolates, connection);
        excluded.map(Verdict::out_of_scope)
    }
}

impl PreparedSnapshot<'_> {
    fn tables(&self, engine: Engine, connection: &Connection) -> Result<&Tables, EngineError> {
        let tables = self.tables.as_ref();
        tables.ok_or_else(|| contradiction(engine, connection, "no tables were compiled".into()))
    }
}

fn contradiction(engine: Engine, connection: &Connection, detail: String) -> EngineError {
    EngineError::Contradiction {
        engine: engine.name(),
        connection: *connection,
        detail,
    }
}
