//! What the stage does to itself before it becomes the program: a session of its own, limits, no capability, Landlock
//! rules, and last the filter of system calls.
//!
//! Relies on being the only thread of its process. Never: goes on where a part that its fence stands on is missing.

use super::stage::Order;
use super::{inherited, syscalls};
use ::landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// The newest rules that are asked for; an older kernel enforces those that it knows.
const RULES: ABI = ABI::V7;

#[derive(Debug, thiserror::Error)]
pub(super) enum ConfineError {
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] io::Error),
    #[error("the kernel has no Landlock, or it is switched off (add `landlock` to the kernel's parameter `lsm=`)")]
    NoLandlock,
    #[error("Landlock refuses the rules: {0}")]
    Landlock(#[from] RulesetError),
    #[error("the filter of system calls is refused: {0}")]
    Filter(#[from] seccompiler::Error),
}

/// Whether the kernel takes rules; nobody is put under these.
pub(super) fn takes_rules() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}

/// Confines this process as an order says.
pub(super) fn confine(order: &Order) -> Result<(), ConfineError> {
    let failed = |doing| move |error: rustix::io::Errno| ConfineError::System(doing, error.into());
    // In bubblewrap it has been made already.
    let _leader = setsid();
    inherited::close_at_exec().map_err(|error| ConfineError::System("close what was inherited", error))?;
    limit(Resource::Core, Some(0)).map_err(failed("limit dumps"))?;
    limit(Resource::Data, order.memory_max).map_err(failed("limit memory"))?;
    limit(Resource::Nproc, order.processes_max).map_err(failed("limit processes"))?;
    limit(Resource::Fsize, order.file_max).map_err(failed("limit files"))?;
    drop_capabilities().map_err(failed("give up capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(failed("give up privileges"))?;
    let ruled = restrict(order)?;
    if !ruled && !order.inner {
        return Err(ConfineError::NoLandlock);
    }
    let ways = syscalls::Ways { local: order.local, datagrams: order.network || order.inner };
    syscalls::refuse(ways)?;
    Ok(())
}

fn limit(resource: Resource, most: Option<u64>) -> rustix::io::Result<()> {
    let Some(most) = most else { return Ok(()) };
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

fn drop_capabilities() -> rustix::io::Result<()> {
    for bit in 0..64 {
        // Without the right to do so there is nothing to give up; beyond the last one the kernel says so.
        let _none = rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    let _none = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Returns whether the kernel enforces Landlock rules now.
fn restrict(order: &Order) -> Result<bool, ConfineError> {
    let read = AccessFs::from_read(RULES);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .scope(Scope::from_all(RULES))?;
    if !order.network && !order.inner {
        rules = rules.handle_access(AccessNet::from_all(RULES))?;
    }
    let mut rules = rules
        .create()?
        .add_rules(path_beneath_rules(&order.read, read))?
        .add_rules(path_beneath_rules(&order.write, AccessFs::from_all(RULES)))?;
    if !order.network && !order.inner {
        for &port in &order.ports {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
