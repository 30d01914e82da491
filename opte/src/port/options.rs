//! What a port is told of itself while it runs.

use core::num::NonZeroU32;
use core::time::Duration;

use super::icmp::Bucket;
use super::{ErrorLimits, Limits, MssClamp, Port};
use crate::api::OpteError;
use crate::flow::Timeouts;
use crate::nat::Filtering;
use crate::network::Network;
use crate::options::PortOptions;
use crate::sync::atomic::Ordering;
use crate::traffic_class::DscpModel;

/// What a port was built with: what is not said by an option.
#[derive(Clone, Copy)]
pub(super) struct Built {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) dscp: DscpModel,
    pub(super) mss_clamp: MssClamp,
    pub(super) errors: ErrorLimits,
}

impl Built {
    fn limits(&self, options: &PortOptions) -> Limits {
        let of = |said: Option<u32>| said.and_then(NonZeroU32::new);
        Limits {
            flows: of(options.max_flows).unwrap_or(self.limits.flows),
            memory: self.limits.memory,
            flows_per_remote: of(options.flows_per_remote).or(self.limits.flows_per_remote),
            flows_per_address: of(options.flows_per_address).or(self.limits.flows_per_address),
        }
    }

    fn timeouts(&self, options: &PortOptions) -> Timeouts {
        let Timeouts {
            tcp_half_open,
            tcp_closing,
            tcp_established,
            udp_one_way,
            udp_both_ways,
            icmp,
            other,
        } = self.timeouts;
        let or = |said: Option<crate::options::Timeout>, built| said.map_or(built, Into::into);
        Timeouts {
            tcp_half_open: or(options.timeout_tcp_half_open, tcp_half_open),
            tcp_closing: or(options.timeout_tcp_closing, tcp_closing),
            tcp_established: or(options.timeout_tcp_established, tcp_established),
            udp_one_way: or(options.timeout_udp, udp_one_way),
            udp_both_ways: or(options.timeout_udp_both_ways, udp_both_ways),
            icmp: or(options.timeout_icmp, icmp),
            other: or(options.timeout_other, other),
        }
    }
}

impl<N: Network> Port<N> {
    /// Whether the port can have these options.
    ///
    /// # Errors
    /// `InvalidArgument` says which it cannot.
    pub fn check_options(&self, options: &PortOptions) -> Result<(), OpteError> {
        options.validate()?;
        let most = self.built.limits.flows;
        match options.max_flows {
            Some(flows) if flows > most.get() => Err(OpteError::InvalidArgument {
                name: "max flows".into(),
                reason: alloc::format!("the port was built for {most}"),
            }),
            _ => Ok(()),
        }
    }

    /// Sets all options at once; what is not said is as the port was built. Flows there are stay: they live as is said from their next
    /// packets on.
    ///
    /// # Errors
    /// As [`Port::check_options`]; then nothing has changed.
    pub fn set_options(&self, options: &PortOptions) -> Result<(), OpteError> {
        self.check_options(options)?;
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        inner.options = *options;
        inner.flows.set_limits(&self.built.limits(options));
        inner.flows.set_timeouts(&self.built.timeouts(options));
        let errors = ErrorLimits {
            rate: options.errors_per_second.unwrap_or(self.built.errors.rate),
            burst: options.errors_at_once.unwrap_or(self.built.errors.burst),
        };
        if errors != inner.errors.limits() {
            inner.errors = Bucket::new(errors);
        }
        let dscp = options.dscp.unwrap_or(self.built.dscp);
        self.dscp.store(dscp as u8, Ordering::Relaxed);
        let clamp = options.mss_clamp.unwrap_or(self.built.mss_clamp);
        self.mss_clamp.store(clamp.to_number(), Ordering::Relaxed);
        self.nat.store(nat_number(options), Ordering::Relaxed);
        Ok(())
    }

    /// The options, as last set.
    pub fn options(&self) -> PortOptions {
        self.inner.lock().options
    }

    /// What its tunnels do with the DSCP.
    #[inline(always)]
    pub(super) fn dscp(&self) -> DscpModel {
        match self.dscp.load(Ordering::Relaxed) {
            number if number == DscpModel::Pipe as u8 => DscpModel::Pipe,
            _ => DscpModel::Uniform,
        }
    }

    /// What its mappings do, as far as options say it.
    pub(super) fn nat_options(&self) -> (Option<Filtering>, Option<bool>, Option<Duration>) {
        let number = self.nat.load(Ordering::Relaxed);
        let filtering = match number & 3 {
            0 => None,
            1 => Some(Filtering::EndpointIndependent),
            2 => Some(Filtering::AddressDependent),
            _ => Some(Filtering::AddressAndPortDependent),
        };
        let preserve = match number >> 2 & 3 {
            0 => None,
            number => Some(number == 2),
        };
        let hold_down = (number >> 4).checked_sub(1).map(Duration::from_millis);
        (filtering, preserve, hold_down)
    }
}

/// What options say of source NAT: from the lowest bit on two of whom it lets in, two of whether it keeps ports, and how many
/// milliseconds they rest; each is zero where nothing is said, or one more than its number.
fn nat_number(options: &PortOptions) -> u64 {
    let filtering = match options.snat_filtering {
        None => 0,
        Some(Filtering::EndpointIndependent) => 1,
        Some(Filtering::AddressDependent) => 2,
        Some(Filtering::AddressAndPortDependent) => 3,
    };
    let preserve = options.snat_preserve_ports;
    let preserve = preserve.map_or(0, |preserve| 1 + u64::from(preserve));
    let hold_down = options.snat_hold_down;
    let hold_down = hold_down.map_or(0, |time| 1 + u64::from(time.milliseconds));
    filtering | preserve << 2 | hold_down << 4
}
