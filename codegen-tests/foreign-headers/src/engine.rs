//! A frame of a controller area network, as Linux hands it over on a little-endian machine: an engine that tells its speed (SAE
//! J1939-71, "Electronic Engine Controller 1").

use arbitrary_int::prelude::*;
use opte_headers::Header;

/// The frame: little-endian, bits counted from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(le, len = 16)]
pub struct Engine {
    /// Who sends.
    pub source: u8,
    /// Parameter group.
    #[header(const = 0xf004, hex)]
    pub group: u16,
    /// Data page and the bit reserved beside it.
    pub page: u2,
    /// Priority; 0 is the highest.
    #[header(default = 3)]
    pub priority: u3,
    /// An error frame.
    pub error: bool,
    /// A request.
    pub remote: bool,
    /// An identifier of 29 bits.
    #[header(default = true)]
    pub extended: bool,
    /// Bytes of data.
    #[header(const = 8)]
    pub length: u8,
    /// Zero.
    #[header(reserved)]
    pub padding: u24,
    /// Who governs the engine.
    pub torque_mode: u4,
    /// Eighths of a percent.
    pub torque_fraction: u4,
    /// Percent, as offset by 125.
    pub demanded_torque: u8,
    /// Percent, as offset by 125.
    pub actual_torque: u8,
    /// Eighths of a revolution a minute.
    pub speed: u16,
    /// Who controls it.
    pub controller: u8,
    /// What the starter does.
    pub starter: u4,
    /// Ones.
    #[header(default = 15)]
    pub unused: u4,
    /// Difference of the demand, percent.
    pub correction: i8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opte_headers::Field;

    #[test]
    fn idling() {
        let bytes = [
            0x00, 0x04, 0xf0, 0x8c, 8, 0, 0, 0, 0xf1, 0x7d, 0x82, 0x68, 0x13, 0x00, 0xf3, 0xff,
        ];
        let (view, _) = Engine::parse(&bytes).unwrap();
        assert_eq!((view.priority(), view.extended()), (u3::new(3), true));
        assert_eq!(f32::from(view.speed()) / 8.0, 621.0);
        assert_eq!(
            (view.torque_mode(), view.torque_fraction()),
            (u4::new(1), u4::new(15))
        );
        assert_eq!((view.starter(), view.correction()), (u4::new(3), -1));
        let mut out = [0; 16];
        assert_eq!(view.to_owned().emit(&mut out), Ok(16));
        assert_eq!(out, bytes);
        const { assert!(engine::Speed::LITTLE_ENDIAN && engine::Priority::BIT_OFFSET == 26) };
    }
}
