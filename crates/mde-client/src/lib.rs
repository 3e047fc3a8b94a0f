//! Microsoft's APIs for Defender for Endpoint.

pub mod limits;
