"""How fast machines are reached by SSH, beside OpenSSH itself and four tools that do the same."""
