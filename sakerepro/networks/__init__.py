"""Student and teacher networks: timm's, with CSE gates or domain tokens; their weights; a linear probe."""
