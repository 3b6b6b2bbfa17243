"""The only room that knows LSP: requests are turned into snapshots, answers into protocol types."""
