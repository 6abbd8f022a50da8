"""What each setting is for, in Chinese; the English words stand with the settings themselves."""

from collections.abc import Mapping
from typing import Final

CHINESE: Final[Mapping[str, str]] = {
    "data_dir": "存放数据库、密钥和本地套接字的目录",
    "office_name": "本单位名称, 显示在状态和控制台中",
    "test_network": "是否为试用网络; 由 `init --test` 和加入包设置, 所有界面随之显示横幅",
    "listen": "下级链路的监听地址 (双向 TLS)",
    "join_listen": "新下级加入时的监听地址; 须用单独的端口, 因为 Python 版 gRPC 不能在同一端口上"
    "让客户端证书可有可无",
    "listen_seen": "下级看到的 `listen` 地址; 用于 NAT 之后或监听 0.0.0.0 时",
    "join_listen_seen": "下级看到的 `join_listen` 地址; 写入加入包",
    "parent_address": "从本机看到的上级 `listen` 地址; 根节点没有。上级有几个进程时, "
    "用逗号列出各进程的地址, 依次拨叫",
    "parent_join_address": "从本机看到的上级 `join_listen` 地址; 本机证书到期后向其申请新证书",
    "proxy": "通往上级的 HTTP 代理 (CONNECT 方式), `http://[用户:密码@]主机:端口`; "
    "从不使用环境变量中的代理",
    "database_url": "PostgreSQL 库的 SQLAlchemy 地址; 不填则用数据目录中的 SQLite",
    "language": "给人看的文字所用的语言",
    "keepalive_seconds": "链路空闲时两次探测的间隔, 秒; NAT 表常在 60 秒后遗忘",
    "keepalive_timeout_seconds": "探测多久无应答即视为断线, 秒",
    "cosign_interval_seconds": "上级以上各级对同一日志两次联署之间的最短间隔, 秒",
    "cosign_pq": "有 ML-DSA-44 密钥的节点 (`init --pq`、`join --pq`) 是否同时用它联署",
    "feed_interval_hours": "每隔多少小时向下级声明没有扣留任何内容; 一次声明的有效期为其四倍",
    "backoff_min_seconds": "首次重连前的等待, 秒",
    "backoff_max_seconds": "重连前的最长等待, 秒",
    "child_kib_per_second": "一个下级平均每秒可发送的数据量, KiB; 超出则放慢",
    "child_refusals_per_minute": "一个下级每分钟可有多少内容被拒收; 超出则断开, 一分钟内不再接入",
    "fence_wait_seconds": "无从证实存储完好时 (开机, 复制, 恢复之后) 等上级多久, 秒; "
    "过后在新纪元中签名",
    "join_attempts_per_minute": "同一地址每分钟可尝试加入的次数",
    "join_token_hours": "加入包的有效时间, 小时",
    "join_policy": "下级如何加入: 有有效加入包即可 (token), 还是另须经办人批准 (approve, "
    "`yidao child approve`)",
    "join_request_hours": "加入申请等待批准的时间, 小时",
    "renew_ended_days": "下级证书到期后几天内仍可凭其日志密钥续期, 天; 0 为不允许",
    "session_idle_minutes": "个人会话可闲置多久, 分钟; GB/T 22239 最多允许 30 分钟",
    "local_account": "本机套接字上不带令牌的调用可做什么: "
    "`operator` 只运行维护本节点并设立首批管理员, `full` 可以任何人的名义做任何事; "
    "不填则试用网络为 `full`, 正式网络为 `operator`",
    "four_eyes": "销毁或授权类操作是否须由两名管理员完成; 不填则试用网络否, 正式网络是",
    "administrator_keys": "管理员是否须登记密钥并用其登录; 不填则试用网络否, 正式网络是",
    "gateway_listen": "REST 网关 (`yidao gateway`) 的监听地址",
    "gateway_hosts": "访问网关还可使用的主机名, 用逗号分隔",
    "gateway_certificate": "网关 TLS 证书链的 PEM 文件; 不填则为明文 HTTP",
    "gateway_key": "该证书密钥的 PEM 文件",
    "log_format": "日志行的格式",
    "log_level": "记录日志的最低级别",
    "log_file": "日志文件; 不填则写到标准错误. 收到 SIGHUP 后重新打开",
    "log_file_mib": "日志文件达到此大小即轮换, MiB",
    "log_file_count": "保留多少个轮换下来的日志文件",
    "metrics_listen": "Prometheus 指标的监听地址, 不验证访问者, 请只用 127.0.0.1; 不填则关闭",
}
