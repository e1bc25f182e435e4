//! `timers`: when each vCPU's fire.

use gdbstub::{Target as _, TargetError, Tid};

use super::arguments;
use super::run::Call;
use crate::arch::timer::{self, Timer};
use crate::kvm::clock;
use crate::kvm::error::Error;
use crate::kvm::regs;
use crate::kvm::vcpu::Vcpu;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    arguments::none("timers", call.words)?;
    let frequency = clock::frequency();
    call.print(&format!("CNTFRQ_EL0 {frequency} Hz\n"));
    for index in 0..call.guest.threads() {
        let tid = Tid::from_index(index);
        let text = call.guest.with_vcpu(tid, |vcpu| Ok(describe(vcpu, frequency)))?;
        call.print(&format!("vCPU {index}\n{text}"));
    }
    Ok(())
}

fn describe(vcpu: &Vcpu, frequency: u64) -> String {
    let timer = |ctl, cval, count| -> Result<Timer, Error> {
        Ok(Timer { ctl: vcpu.get(ctl)?, cval: vcpu.get(cval)?, count: vcpu.get(count)?, frequency })
    };
    let text = |timer: Result<Timer, Error>| match timer {
        Ok(timer) => timer.to_string(),
        Err(_) => "this host's KVM does not tell".to_owned(),
    };
    let control = vcpu.get(regs::CNTKCTL_EL1);
    let control =
        control.map_or_else(|_| "this host's KVM does not tell".to_owned(), timer::control);
    format!(
        "  virtual      {}\n  physical     {}\n  CNTKCTL_EL1  {control}\n",
        text(timer(regs::CNTV_CTL_EL0, regs::CNTV_CVAL_EL0, regs::CNTVCT_EL0)),
        text(timer(regs::CNTP_CTL_EL0, regs::CNTP_CVAL_EL0, regs::CNTPCT_EL0)),
    )
}
