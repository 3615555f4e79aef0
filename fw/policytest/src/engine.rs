#[cfg(target_os = "linux")]
use bailey_bpf::abi;
use bailey_compile::{CompileLimits, RuleIds, Tables, compile};
#[cfg(target_os = "linux")]
use bailey_config::{Frames, Settings, Topology};
use bailey_datapath::{Datapath, DatapathError, Enforcer, PinDir};
use bailey_policy::{Connection, IsolatedDirections, LinkScope, Snapshot, Verdict, oracle};

/// One implementation of the policy semantics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// The naive evaluator.
    Oracle,
    /// Compiled tables, looked up in Rust.
    Tables,
    /// Compiled tables, looked up by the loaded BPF program.
    Kernel,
}

impl Engine {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oracle => "oracle",
            Self::Tables => "tables",
            Self::Kernel => "kernel",
        }
    }
}

/// Why an engine cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The policy set does not fit.
    #[error(transparent)]
    Compile(#[from] bailey_compile::CompileError),
    /// The kernel engine could not be set up: no permission, no BPF, or not Linux.
    #[error("the kernel engine is not available: {0}")]
    Unavailable(String),
    /// The kernel refused what it should take.
    #[cfg(target_os = "linux")]
    #[error("kernel: {0}")]
    Datapath(#[from] DatapathError),
    /// Two answers in one: a defect.
    #[error("{engine} contradicts itself on {connection}: {detail}")]
    Contradiction {
        /// Which.
        engine: &'static str,
        /// On what.
        connection: Connection,
        /// How.
        detail: String,
    },
}

/// Engines that are set up, and what each needs.
#[derive(Default)]
pub struct Engines {
    wanted: Vec<Engine>,
    limits: CompileLimits,
    /// Of the bridge that connections come through.
    scope: Option<LinkScope>,
    #[cfg(target_os = "linux")]
    kernel: Option<Datapath>,
}

/// A snapshot that all engines are ready to be asked about.
#[derive(Debug)]
pub struct Prepared<'a> {
    snapshot: &'a Snapshot,
    tables: Option<Tables>,
}

impl Engines {
    /// Sets engines up that are asked about policies, or about what passes a bridge with a scope of its
    /// own. The kernel engine loads its programs with maps that no other process can see, and attaches
    /// nothing.
    ///
    /// # Errors
    /// If the kernel engine is wanted and cannot be had.
    pub fn new(
        wanted: &[Engine],
        limits: CompileLimits,
        bridge: Option<LinkScope>,
    ) -> Result<Self, EngineError> {
        let mut engines = Self {
            wanted: wanted.to_vec(),
            limits,
            scope: bridge,
            ..Self::default()
        };
        if wanted.contains(&Engine::Kernel) {
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
        if let Some(scope) = &self.scope {
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
        Err(EngineError::Unavailable("it needs Linux".into()))
    }

    /// The engines, in the order in which their answers are reported.
    pub fn wanted(&self) -> &[Engine] {
        &self.wanted
    }

    /// Compiles and loads a snapshot, as far as the engines need it.
    ///
    /// # Errors
    /// If it does not fit, or the kernel refuses it.
    pub fn prepare<'a>(&mut self, snapshot: &'a Snapshot) -> Result<Prepared<'a>, EngineError> {
        if self.wanted == [Engine::Oracle] {
            return Ok(Prepared {
                snapshot,
                tables: None,
            });
        }
        let tables = compile(snapshot, &RuleIds::default(), &self.limits)?;
        #[cfg(target_os = "linux")]
        if let Some(kernel) = &mut self.kernel {
            kernel.install(&tables)?;
        }
        Ok(Prepared {
            snapshot,
            tables: Some(tables),
        })
    }

    /// Asks one engine.
    ///
    /// # Errors
    /// If its answer contradicts itself, or the kernel refuses the question.
    pub fn judge(
        &mut self,
        engine: Engine,
        prepared: &Prepared<'_>,
        connection: &Connection,
    ) -> Result<Verdict, EngineError> {
        let contradiction = |detail: String| EngineError::Contradiction {
            engine: engine.name(),
            connection: *connection,
            detail,
        };
        let tables = || {
            prepared
                .tables
                .as_ref()
                .ok_or_else(|| contradiction("nothing was compiled".into()))
        };
        match engine {
            Engine::Oracle => {
                let excluded =
                    self.find_exclusion(IsolatedDirections::from(prepared.snapshot), connection);
                Ok(excluded.unwrap_or_else(|| oracle::evaluate(prepared.snapshot, connection)))
            }
            Engine::Tables => {
                let tables = tables()?;
                self.find_exclusion(tables.isolated_directions(), connection)
                    .or_else(|| tables.evaluate(connection))
                    .ok_or_else(|| contradiction("damaged tables".into()))
            }
            #[cfg(target_os = "linux")]
            Engine::Kernel => {
                let kernel = self.kernel.as_mut();
                let kernel = kernel.ok_or_else(|| contradiction("it was not set up".into()))?;
                if connection.source == connection.destination {
                    // No NIC ever sees it: the program takes it for forged, and is not asked.
                    let verdict = tables()?.evaluate(connection);
                    return verdict.ok_or_else(|| contradiction("damaged tables".into()));
                }
                let answer = kernel.probe(connection)?;
                let out = match answer.reason {
                    abi::REASON_DROP_GROUP => Some(bailey_policy::OutOfScope::Group),
                    abi::REASON_DROP_LINK_LOCAL => Some(bailey_policy::OutOfScope::LinkLocal),
                    _ => None,
                };
                if let Some(out) = out {
                    return Ok(Verdict::out_of_scope(out));
                }
                let Some((egress, ingress)) = answer.cells else {
                    return Err(contradiction(format!(
                        "dropped as {}",
                        answer.reason_name()
                    )));
                };
                let verdict = tables()?
                    .verdict_of_cells(egress, ingress)
                    .ok_or_else(|| contradiction(format!("cells {egress:#x} {ingress:#x}")))?;
                if verdict.is_allowed() != answer.passes {
                    let reason = answer.reason_name();
                    return Err(contradiction(format!(
                        "{verdict}, but the packet: {reason}"
                    )));
                }
                Ok(verdict)
            }
            #[cfg(not(target_os = "linux"))]
            Engine::Kernel => Err(EngineError::Unavailable("it needs Linux".into())),
        }
    }

    fn find_exclusion(
        &self,
        isolates: IsolatedDirections,
        connection: &Connection,
    ) -> Option<Verdict> {
        let excluded = self.scope.as_ref()?.find_exclusion(isolates, connection);
        excluded.map(Verdict::out_of_scope)
    }
}
