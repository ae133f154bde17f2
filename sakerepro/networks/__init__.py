"""Networks that are trained and taught by: timm's, with CSE gates or domain tokens, their weights, a linear probe."""
