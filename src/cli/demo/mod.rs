//! `bewaard demo`: a firm to try everything on.

pub mod firm;
