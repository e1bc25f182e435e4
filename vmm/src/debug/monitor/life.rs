//! `reset` and `quit`: the guest made anew, or ended.

use gdbstub::TargetError;

use super::arguments;
use super::run::Call;

/// `quit`.
pub fn quit(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("quit", call.words)?;
    call.guest.end();
    Ok(())
}

/// `reset`.
pub fn reset(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("reset", call.words)?;
    let lost = call.guest.start_again_with_stoppoints()?;
    call.print(
        "the guest is at its first instruction again; GDB: maintenance flush register-cache\n",
    );
    for (point, why) in lost {
        call.print(&format!("not set any more: {:?} at {:#x}: {why}\n", point.kind, point.addr));
    }
    Ok(())
}
