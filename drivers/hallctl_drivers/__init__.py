"""The drivers that come with hallctl: one package a wire protocol family."""
