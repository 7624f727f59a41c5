"""Role AP: transfers envelopes between organisations over AS4, without knowledge of their content."""
