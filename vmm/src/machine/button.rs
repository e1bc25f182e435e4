//! The power button: an input of the GPIO.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boot::layout::POWER_BUTTON;
use devices::gpio::Pl061;

/// For how long it is pressed. Longer than what drivers take for bouncing, and shorter than what a desktop takes for a wish of another kind.
pub const PRESS: Duration = Duration::from_millis(100);

/// The GPIO that it is an input of.
pub type Button = Arc<Mutex<Pl061>>;

fn lock(button: &Button) -> MutexGuard<'_, Pl061> {
    button.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Presses it, if the guest has a driver that listens to it.
pub fn press(button: &Button) -> bool {
    let mut gpio = lock(button);
    let is_awaited = gpio.is_awaited(POWER_BUTTON);
    if is_awaited {
        gpio.set_input(POWER_BUTTON, true);
    }
    is_awaited
}

/// Lets it go.
pub fn release(button: &Button) {
    lock(button).set_input(POWER_BUTTON, false);
}
