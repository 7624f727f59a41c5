"""Role AP: transfers envelopes between organisations over AS4, and knows nothing of their content."""
