//! Capability sets: emptied in the child, cut down to CAP_KILL in the monitor, and read back in both.
//!
//! The `caps` crate writes; [`crate::sys`] reads back, because `caps` knows capabilities by name and would
//! overlook one that is younger than itself. A set that is not empty afterwards is an error.

use crate::error::Error;
use crate::step::Step;
use crate::sys::{self, CapabilitySets};
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;

/// The sets are 64 bits wide; the kernel says EINVAL at the first number it does not know.
const HIGHEST: libc::c_ulong = 63;

/// Child, first: no execve can ever give a capability again. Only a process with CAP_SETPCAP may do this, and only such
/// a process needs it: in any other, no_new_privs closes the same door.
pub(crate) fn empty_bounding_set() -> Result<(), Error> {
    let sets = sys::capabilities().map_err(Error::refused(Step::BoundingSet))?;
    if sets.effective & Capability::CAP_SETPCAP.bitmask() == 0 {
        return Ok(());
    }
    for capability in 0..=HIGHEST {
        match sys::bounding_set_drop(capability) {
            Ok(()) => {}
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(Error::Refused { step: Step::BoundingSet, errno }),
        }
    }
    for capability in 0..=HIGHEST {
        match sys::bounding_set_has(capability) {
            Ok(false) => {}
            Ok(true) => return Err(Error::Ineffective { step: Step::BoundingSet }),
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(Error::Refused { step: Step::BoundingSet, errno }),
        }
    }
    Ok(())
}

/// Child: no capability in any set.
pub(crate) fn clear() -> Result<(), Error> {
    // The ambient set falls with the other two, of which it is a part, but says so itself first.
    caps::clear(None, CapSet::Ambient).map_err(refused)?;
    caps::clear(None, CapSet::Inheritable).map_err(refused)?;
    // Clears the effective set in the same call.
    caps::clear(None, CapSet::Permitted).map_err(refused)?;
    check(0)
}

/// Monitor: CAP_KILL stays if it was there, because a root monitor's child has another user id ([`Identity::choose`]
/// demands it there). The kernel checks the same permission when the monitor's own death is to kill the child.
///
/// [`Identity::choose`]: crate::Identity::choose
pub(crate) fn keep_only_kill() -> Result<(), Error> {
    let sets = sys::capabilities().map_err(Error::refused(Step::Capabilities))?;
    if sets.permitted == 0 && sets.inheritable == 0 {
        return Ok(());
    }
    let kept = sets.permitted & Capability::CAP_KILL.bitmask();
    let wanted: CapsHashSet = if kept == 0 { CapsHashSet::new() } else { [Capability::CAP_KILL].into() };
    caps::clear(None, CapSet::Ambient).map_err(refused)?;
    caps::clear(None, CapSet::Inheritable).map_err(refused)?;
    // Effective before permitted: it must never be the larger.
    caps::set(None, CapSet::Effective, &wanted).map_err(refused)?;
    caps::set(None, CapSet::Permitted, &wanted).map_err(refused)?;
    check(kept)
}

/// Effective and permitted are `kept`, inheritable is empty. Ambient is then empty too: capabilities(7) keeps it
/// inside the inheritable set.
fn check(kept: u64) -> Result<(), Error> {
    let sets = sys::capabilities().map_err(Error::refused(Step::Capabilities))?;
    if sets == (CapabilitySets { effective: kept, permitted: kept, inheritable: 0 }) {
        Ok(())
    } else {
        Err(Error::Ineffective { step: Step::Capabilities })
    }
}

/// `caps` reports a text; the number of the call that failed still stands in errno.
fn refused(_: caps::errors::CapsError) -> Error {
    Error::Refused { step: Step::Capabilities, errno: Errno::last() }
}
