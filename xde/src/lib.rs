//! The driver: ports, underlay and the command entry around the opte engine
