"""Keys, requests and chains; when to issue, renew and back off."""
