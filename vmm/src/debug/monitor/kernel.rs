//! `kernel`: where the kernel is, and what is known of it.

use gdbstub::TargetError;

use super::arguments;
use super::run::Call;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("kernel", call.words)?;
    let found = call.guest.where_it_is();
    let link = call.guest.engine.link();
    let path = call.guest.program.vmlinux.clone();
    let hex = |value: Option<u64>| {
        value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:#x}"))
    };
    let end = link.image.saturating_add(link.size);
    call.print(&match link.size {
        0 => "image none\n".to_owned(),
        _ => format!("image {:#x}..{end:#x}\n", link.image),
    });
    call.print(&format!("symbols {}\n", path.as_deref().unwrap_or("none")));
    call.print(&format!("link {}\n", hex(link.link)));
    call.print(&format!("text {}\n", hex(link.text)));
    call.print(&format!("slide {}\n", hex(found.slide)));
    Ok(())
}
