//! Reconciliation: asking the providers' own APIs what the webhooks did not bring.

pub mod vault;
