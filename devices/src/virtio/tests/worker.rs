use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::driver::Driver;
use crate::virtio::rng::{Rng, Source};
use crate::virtio::worker::{Start, Worker};
use crate::virtio::{Backend, Broken, Ring, Waits};

const NEEDS_RESET: u32 = 64;

/// A host that is asked for each request, and answers with a byte.
struct Host {
    answers: PipeReader,
    is_patient: bool,
    asked: Sender<()>,
}

impl Host {
    /// A patient one tries again when a signal gets it out of the system call.
    fn new(is_patient: bool) -> (Self, PipeWriter, Receiver<()>) {
        let (reader, writer) = pipe().unwrap();
        let (asked, questions) = channel();
        (Self { answers: reader, is_patient, asked }, writer, questions)
    }
}

impl Backend<GuestMemoryMmap> for Host {
    fn serve(
        &mut self,
        queue: usize,
        rings: &mut [Ring<GuestMemoryMmap>],
        _: &mut Waits,
    ) -> Result<(), Broken> {
        rings[queue].drain(|_| {
            // Nobody listens any more when a test ends.
            let _ = self.asked.send(());
            while self.answers.read(&mut [0]).is_err() && self.is_patient {}
            Ok(0)
        })
    }
}

#[test]
fn a_reset_interrupts_a_request_that_the_host_does_not_finish() {
    let (host, mut answers, questions) = Host::new(false);
    let mut driver = Driver::new(Rng, host);
    driver.begin(0, 1);
    driver.put(0, &[], &[8]);
    driver.notify(0);
    questions.recv().unwrap();

    driver.write(0x070, 0);

    assert_eq!(driver.read(0x070), 0);
    assert!(driver.reports.lock().unwrap().is_empty());
    driver.begin(0, 1);
    answers.write_all(&[0]).unwrap();
    driver.ask(0, &[], &[8]);
}

#[test]
fn a_device_that_the_host_holds_up_is_given_up_until_it_comes_back() {
    const USED_INDEX: GuestAddress = GuestAddress(0x3002);
    let (host, mut answers, questions) = Host::new(true);
    let mut driver = Driver::new(Rng, host);
    driver.begin(0, 1);
    driver.put(0, &[], &[8]);
    driver.notify(0);
    questions.recv().unwrap();

    driver.write(0x070, 0);

    assert_eq!(driver.read(0x070), NEEDS_RESET);
    assert_eq!(driver.reports.lock().unwrap().len(), 1);
    // A driver that begins all the same finds that nothing works.
    driver.begin(0, 1);
    assert_eq!(driver.read(0x070), 15 | NEEDS_RESET);
    assert_eq!(driver.interrupt(), 2);
    answers.write_all(&[0]).unwrap();
    while driver.read(0x070) != 0 {
        driver.write(0x070, 0);
    }
    let used: u16 = driver.memory.read_obj(USED_INDEX).unwrap();
    assert_eq!(used, 0, "the memory is no longer the device's");
    driver.begin(0, 1);
    answers.write_all(&[0]).unwrap();
    driver.ask(0, &[], &[8]);
}

#[test]
fn a_finished_request_is_told_of_before_the_next_one_is_served() {
    let (host, mut answers, questions) = Host::new(false);
    let mut driver = Driver::new(Rng, host);
    driver.begin(0, 1);
    driver.put(0, &[], &[8]);
    driver.make_available(0, 0);
    driver.notify(0);

    answers.write_all(&[0]).unwrap();

    assert_eq!(driver.interrupt(), 1);
    assert_eq!(questions.iter().take(2).count(), 2);
}

#[test]
fn a_thread_that_cannot_start_takes_nothing_with_it() {
    let kick = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let start = Start {
        name: "device",
        features: 0,
        rings: Vec::new(),
        // Which cannot be waited for twice.
        kicks: vec![kick.clone(), kick],
        is_stopping: Arc::default(),
        on_broken: Box::new(|_| {}),
    };
    let mut backend: Option<Box<dyn Backend<GuestMemoryMmap>>> =
        Some(Box::new(Source::open().unwrap()));

    assert!(Worker::start(start, &mut backend).is_err());

    assert!(backend.is_some());
}
